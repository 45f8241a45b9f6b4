<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConnectionException;
use ResilientRedis\ServerException;
use ResilientRedis\TimeoutException;
use Tests\Support\Process;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\ReplicaSet;
use Tests\Support\Wait;

/** Real servers that refuse because of their own state: what passes is waited out, what does not is said at once. */
final class ServerStateTest extends RedisTestCase
{
    public function test_a_server_that_loads_its_data_is_waited_for(): void
    {
        $server = $this->server();
        $redis = new ResilientRedis($server->endpoint(), ['command_timeout' => 8.0]);
        $heard = self::listen($redis);
        $redis->set('before', '1');
        $server->restartLoading(8_000, 1.0);
        self::assertSame(1, $redis->incr('n'), 'it was applied once');
        $counts = array_count_values($heard());
        self::assertSame([1, true], [$counts['server.unready'] ?? 0, ($counts['failover.completed'] ?? 0) <= 1], self::seen($heard()));

        $server->restartLoading(8_000, 1.0);
        self::assertSame(7, $redis->eval('return 7', 0), 'a script that was not even started');
        $server->restartLoading(8_000, 4.0);
        $hasty = new ResilientRedis($server->endpoint(), ['command_timeout' => 1.5]);
        $exception = self::thrown(TimeoutException::class, static fn () => $hasty->incr('n'));
        self::assertSame('command_timeout', $exception->getLimit());
        self::assertStringContainsString('LOADING', $exception->getMessage());
        self::assertStringContainsString('it was not applied', $exception->getMessage());
    }

    public function test_a_server_that_is_busy_with_a_script_is_waited_for_without_a_storm(): void
    {
        $server = $this->server(['busy-reply-threshold' => '50']);
        $redis = new ResilientRedis($server->endpoint(), ['command_timeout' => 8.0, 'read_write_timeout' => 6.0]);
        self::assertSame(1, $redis->incr('n'));
        $before = $server->counters();
        $this->busyFor($server, 1.5);
        self::assertSame(2, $redis->incr('n'));
        self::assertSame(3, $redis->eval("return redis.call('INCR', 'n')", 0));
        $after = $server->counters();
        self::assertLessThanOrEqual(8, $after->connections - $before->connections, 'connections while it was busy');
        self::assertSame('3', $redis->get('n'));
    }

    public function test_a_server_that_is_full_is_waited_for(): void
    {
        $server = $this->server(['maxclients' => '3']);
        $server->command('PING');
        $guests = [$server->connect(), $server->connect()];
        self::assertSame(['PONG', 'PONG'], [$guests[0]->command('PING'), $guests[1]->command('PING')]);
        $redis = new ResilientRedis($server->endpoint(), ['command_timeout' => 0.5]);
        $exception = self::thrown(TimeoutException::class, static fn () => $redis->incr('n'));
        self::assertStringContainsString('max number of clients', $exception->getMessage());
        self::assertSame('command_timeout', $exception->getLimit());

        $refused = (int) $server->info('stats')['rejected_connections'];
        self::assertGreaterThan(0, $refused);
        self::assertLessThan(20, $refused, 'calls at a full server in half a second');
        $this->later($server, 0.5, 'CONFIG', 'SET', 'maxclients', '20');
        unset($guests[0]);
        self::assertSame(1, (new ResilientRedis($server->endpoint(), ['command_timeout' => 5.0]))->incr('n'));
    }

    public function test_what_waiting_does_not_mend_is_said_at_once(): void
    {
        $server = $this->server(['enable-protected-configs' => 'yes']);
        $server->command('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '+@read', '+hello', '+info');
        $redis = new ResilientRedis($server->endpoint());
        $redis->set('k', 'v');

        $server->command('CONFIG', 'SET', 'maxmemory', '1');
        $this->refusedAtOnce('OOM', static fn () => $redis->set('k', 'w'));
        self::assertSame('v', $redis->get('k'), 'reads go on');
        $server->command('CONFIG', 'SET', 'maxmemory', '0');

        $reader = new ResilientRedis($server->endpoint(), ['username' => 'reader', 'password' => 'secret']);
        self::assertSame('v', $reader->get('k'));
        $this->refusedAtOnce('NOPERM', static fn () => $reader->set('k', 'w'));

        $server->command('CONFIG', 'SET', 'save', '3600 1');
        $server->command('CONFIG', 'SET', 'dir', '/proc');
        $server->command('BGSAVE');
        Wait::until('the save has failed', static fn (): bool => $server->info('persistence')['rdb_last_bgsave_status'] === 'err');
        $this->refusedAtOnce('MISCONF', static fn () => $redis->set('k', 'w'));
        self::assertSame('v', $redis->get('k'));
    }

    public function test_a_primary_without_enough_replicas_is_waited_for(): void
    {
        $server = $this->server(['min-replicas-to-write' => '1']);
        $redis = new ResilientRedis($server->endpoint(), ['command_timeout' => 5.0]);
        $this->later($server, 0.5, 'CONFIG', 'SET', 'min-replicas-to-write', '0');
        $start = Wait::now();
        self::assertSame(1, $redis->incr('n'));
        self::assertGreaterThan(0.3, Wait::now() - $start);

        $server->command('CONFIG', 'SET', 'min-replicas-to-write', '1');
        $this->refusedAtOnce('NOREPLICAS', static fn () => $redis->eval("return redis.call('INCR', 'n')", 0));
        self::assertSame('1', $redis->get('n'));
    }

    public function test_a_replica_that_has_lost_its_primary_serves_again_when_it_is_promoted(): void
    {
        $set = $this->stoppedAtTheEnd(ReplicaSet::start(1));
        $set->replica()->command('CONFIG', 'SET', 'replica-serve-stale-data', 'no');
        $set->primary()->kill();
        Wait::until('the link is down', static fn (): bool => $set->replica()->info('replication')['master_link_status'] === 'down');
        $redis = new ResilientRedis($set->replica()->endpoint(), ['command_timeout' => 0.4]);
        $exception = self::thrown(TimeoutException::class, static fn () => $redis->get('k'));
        self::assertSame('command_timeout', $exception->getLimit());

        $this->later($set->replica(), 0.5, 'REPLICAOF', 'NO', 'ONE');
        self::assertSame(1, (new ResilientRedis($set->replica()->endpoint(), ['command_timeout' => 5.0]))->incr('n'));
    }

    public function test_a_changed_password_lets_open_connections_work_and_denies_new_ones_at_once(): void
    {
        $set = $this->stoppedAtTheEnd(ReplicaSet::start(1));
        $redis = new ResilientRedis($set->primary()->endpoint(), ['password' => 'old', 'command_timeout' => 5.0]);
        foreach ($set->nodes as $node) {
            $node->command('CONFIG', 'SET', 'requirepass', 'old');
        }
        self::assertSame(1, $redis->incr('n'));
        $set->primary()->command('CONFIG', 'SET', 'requirepass', 'new');
        self::assertSame(2, $redis->incr('n'), 'who is in stays in');

        // The replica still takes the old password: it must not keep the client searching.
        $set->primary()->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        $start = Wait::now();
        $exception = self::thrown(ConnectionException::class, static fn () => $redis->incr('n'));
        self::assertLessThan(1.0, Wait::now() - $start, 'seconds; ' . $exception->getMessage());
        self::assertNotInstanceOf(TimeoutException::class, $exception);
        self::assertSame(['auth', $set->primary()->address()], [$exception->getPhase(), $exception->getNode()]);
        self::assertStringContainsString('WRONGPASS', $exception->getMessage());
        self::assertSame(3, (new ResilientRedis($set->primary()->endpoint(), ['password' => 'new']))->incr('n'));
    }

    private function refusedAtOnce(string $type, callable $action): void
    {
        $start = Wait::now();
        $exception = self::thrown(ServerException::class, $action);
        self::assertSame([$type, 1], [$exception->getErrorType(), $exception->getAttempts()], $exception->getMessage());
        self::assertLessThan(0.5, Wait::now() - $start, 'seconds');
    }

    /** Lets the server run a script that takes that long, and returns when it answers BUSY. */
    private function busyFor(RedisServer $server, float $seconds): void
    {
        $watch = $server->connect();
        $script = "local function now() local t = redis.call('TIME') return t[1] + t[2] / 1e6 end
            local stop = now() + $seconds while now() < stop do end";
        $this->stoppedAtTheEnd(new Process(['redis-cli', '-p', (string) $server->port, 'EVAL', $script, '0']));
        Wait::until('the server is busy', static function () use ($watch): bool {
            try {
                $watch->command('PING');

                return false;
            } catch (\RuntimeException $refusal) {
                return str_starts_with($refusal->getMessage(), 'BUSY');
            }
        });
    }

    /** Sends a command to the server after a while, from another process. */
    private function later(RedisServer $server, float $seconds, string ...$words): void
    {
        $command = 'sleep ' . $seconds . '; exec redis-cli -p ' . $server->port . ' ' . implode(' ', array_map('escapeshellarg', $words));
        $this->stoppedAtTheEnd(new Process(['sh', '-c', $command]));
    }

    /** @return \Closure(): list<string> the names of the events so far */
    private static function listen(ResilientRedis $redis): \Closure
    {
        $events = [];
        $redis->onEvent(static function (string $event) use (&$events): void {
            $events[] = $event;
        });

        return static function () use (&$events): array {
            return $events;
        };
    }
}
