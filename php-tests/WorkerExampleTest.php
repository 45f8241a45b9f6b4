<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;
use Tests\Support\Wait;

/** The worker in examples/worker, as docs/workers.md shows it. */
final class WorkerExampleTest extends RedisTestCase
{
    public function test_a_job_that_fails_half_way_does_not_reach_the_next_and_a_signal_ends_the_worker_at_once(): void
    {
        $redis = self::shared();
        $worker = new Process(Extension::php(__DIR__ . '/../examples/worker/consume.php', [], $redis->endpoint()));
        $redis->command('LPUSH', 'jobs', 'first', 'a bad one', 'second', 'a bad one', 'second');
        $waits = static fn (): bool => in_array('b', array_column($redis->clients(), 'flags'), true);
        Wait::until('the jobs are done, and it waits for more', static fn (): bool => $redis->command('LLEN', 'jobs') === 0 && $waits());
        self::assertSame(['first', '1', 'second', '2'], $redis->command('HGETALL', 'done'));
        self::assertSame(0, $redis->command('EXISTS', 'jobs:taken'));
        self::assertSame(['db0'], array_keys($redis->info('keyspace')));
        self::assertSame(1, $redis->command('DBSIZE'));
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait(5.0), $worker->errors());
        self::assertSame("ended\n", $worker->output());
        self::assertSame("a bad one: a bad one\na bad one: a bad one\n", $worker->errors());
    }
}
