<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;
use Tests\Support\Scratch;

/** Threads of one process share the registry of pools, and never a connection. ZTS_HOST names the host that was built. */
final class ThreadsTest extends RedisTestCase
{
    private const AT_ONCE = 8;

    private const REQUESTS = 2;

    /** Threads that run at once, then threads one after another, then many at once again. */
    private const WAVES = [self::AT_ONCE, 1, 1, 1, 1, self::AT_ONCE];

    public function test_threads_get_their_own_replies_and_each_others_idle_connections(): void
    {
        [, $connections] = $this->hosted([]);
        // Two databases, each with a pool of its own. Who waits long for a reply asks by another connection what is wrong.
        self::assertLessThanOrEqual(3 * self::AT_ONCE, $connections);
    }

    public function test_no_bad_end_of_a_request_reaches_another_thread(): void
    {
        [$requests, $connections] = $this->hosted(['ENDINGS' => 'bad']);
        // A request that dies in a pipeline, or leaves WATCH and another database behind, may cost its connection.
        $spoilt = count(array_filter($requests, static fn (array $request): bool => in_array(($request['thread'] + $request['request']) % 5, [2, 3], true)));
        self::assertLessThanOrEqual(3 * self::AT_ONCE + $spoilt, $connections);
    }

    /**
     * Runs the host to its end: what each request said, and how many connections there were.
     *
     * @param array<string, string> $environment
     * @return array{list<array{thread: int, request: int, sent: int, wrong: int}>, int}
     */
    private function hosted(array $environment): array
    {
        $redis = $this->server();
        $ini = Scratch::folder('zts') . '/php.ini';
        file_put_contents($ini, 'extension=' . Extension::path() . "\nlog_errors=0\ndisplay_errors=stderr\n");
        $before = $redis->counters();
        $waves = array_map(strval(...), self::WAVES);
        $command = [(string) getenv('ZTS_HOST'), $ini, __DIR__ . '/thread.php', (string) self::REQUESTS, $redis->endpoint(), ...$waves];
        $host = Process::run($command, $environment, 400.0);
        self::assertSame([0, ''], [$host->wait(), $host->errors()]);
        $requests = array_map(static fn (string $line): array => json_decode($line, true, flags: JSON_THROW_ON_ERROR), explode("\n", trim($host->output())));
        $connections = $redis->counters()->connections - $before->connections;
        $sent = array_column($requests, 'sent');
        fprintf(STDERR, "%d threads, %d requests, %d commands, %d connections\n", array_sum(self::WAVES), count($requests), array_sum($sent), $connections);
        self::assertCount(array_sum(self::WAVES) * self::REQUESTS, $requests, $host->output());
        self::assertSame(0, array_sum(array_column($requests, 'wrong')), $host->output());
        self::assertGreaterThanOrEqual(5_000, min($sent), $host->output());
        self::assertCount(0, $redis->clients(), 'the end of the module closes what is left');

        return [$requests, $connections];
    }
}
