<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;

/** Workers that run for days hold no more at their end than at their beginning. COMMANDS=1000000 looks for longer. */
final class LongWorkerTest extends RedisTestCase
{
    public function test_memory_and_open_files_stay_the_same_however_many_commands_a_worker_has_run(): void
    {
        $commands = getenv('COMMANDS') ?: '100000';
        $script = Extension::php(__DIR__ . '/Fixtures/long-worker.php', [], self::shared()->endpoint(), '10000', $commands);
        $process = Process::run($script, seconds: 300.0);
        self::assertSame('', $process->errors());
        ['before' => $before, 'after' => $after] = json_decode($process->output(), true);
        self::assertLessThan(1024, $after['memory'] - $before['memory'], 'KiB more: ' . $process->output());
        self::assertSame($before['files'], $after['files'], $process->output());
        // The first look at it takes some itself, and in a debug build of PHP each block is larger.
        self::assertLessThan(PHP_DEBUG ? 2048 : 1024, $after['php'] - $before['php'], 'bytes of PHP: ' . $process->output());
    }
}
