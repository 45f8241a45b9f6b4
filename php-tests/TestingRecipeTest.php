<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;
use Tests\Support\Scratch;

/** The PHPUnit suite in examples/testing, as docs/testing.md shows it: run whole, and twice in one order and in another. */
final class TestingRecipeTest extends RedisTestCase
{
    private const SUITE = __DIR__ . '/../examples/testing';

    /** @dataProvider orders */
    public function test_the_sample_suite_passes_with_tests_in_processes_of_their_own(string ...$options): void
    {
        // Processes that PHPUnit starts read the ini files that it has read itself, and know nothing of its `-d extension=`.
        $folder = Scratch::folder('ini');
        file_put_contents("$folder/99-resilient_redis.ini", 'extension=' . Extension::path() . "\n");
        $phpunit = (string) realpath($_SERVER['argv'][0]);
        $command = [PHP_BINARY, $phpunit, '-c', self::SUITE . '/phpunit.xml', '--do-not-cache-result', '--testdox', ...$options];
        $environment = ['PHP_INI_SCAN_DIR' => ":$folder", 'REDIS_URL' => self::shared()->endpoint()];
        $process = Process::run($command, $environment, 60.0);
        self::assertSame(0, $process->wait(), $process->output() . $process->errors());
        // As PHPUnit 9 says it, and PHPUnit 11, which has words about annotations.
        self::assertMatchesRegularExpression('/^OK \(8 tests|^Tests: 8,/m', $process->output());
        self::assertSame([], self::shared()->clients());
    }

    /** @return array<string, list<string>> */
    public static function orders(): array
    {
        return [
            'in order' => [],
            'in random order' => ['--order-by', 'random', '--resolve-dependencies'],
            'each in a process of its own' => ['--process-isolation', '--filter', '/./'],
        ];
    }
}
