<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConnectionException;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\ReplicaSet;
use Tests\Support\Wait;

/** Option read_from with real replicas. */
final class ReadFromTest extends RedisTestCase
{
    /** @param array<string, mixed> $options */
    private static function reading(ReplicaSet $set, string $from, array $options = []): ResilientRedis
    {
        $redis = new ResilientRedis($set->primary()->endpoint(), ['read_from' => $from] + $options);
        $redis->set('k', 'v');
        self::waitUntilCopied($set->replica(0), $set->replica(1));

        return $redis;
    }

    /** What was written is at the replicas. */
    private static function waitUntilCopied(RedisServer ...$replicas): void
    {
        foreach ($replicas as $replica) {
            // Not by GET, which the tests count.
            Wait::until("the replica on port $replica->port has the key", static fn (): bool => $replica->command('EXISTS', 'k') === 1);
        }
    }

    /** @return list<int> how often each node was read from */
    private static function reads(ReplicaSet $set): array
    {
        return array_map(
            static fn (RedisServer $node): int => $node->isRunning() ? $node->calls('get') : -1,
            $set->nodes,
        );
    }

    public function test_reads_are_spread_over_the_replicas_at_one_command_each(): void
    {
        $set = $this->replicaSet();
        $redis = self::reading($set, 'prefer-replica');
        $redis->get('k');
        $redis->get('k');
        $before = array_map(static fn (RedisServer $node): int => $node->calls('info'), $set->nodes);
        for ($i = 0; $i < 998; $i++) {
            self::assertSame('v', $redis->get('k'));
        }
        $after = array_map(static fn (RedisServer $node): int => $node->calls('info'), $set->nodes);
        self::assertSame([0, 500, 500], self::reads($set));
        // Our own questions for these numbers are among them.
        self::assertLessThanOrEqual(12, array_sum($after) - array_sum($before), self::seen([$before, $after]));
    }

    public function test_pipelines_that_only_read_are_read_from_replicas_and_others_see_what_they_wrote(): void
    {
        $set = $this->replicaSet();
        $redis = self::reading($set, 'prefer-replica');
        $redis->get('k');
        $before = self::reads($set);
        for ($i = 0; $i < 10; $i++) {
            self::assertSame(['v', 'v', null], $redis->pipeline()->get('k')->get('k')->get('none')->execute());
        }
        [$primary, $one, $other] = array_map(static fn (int $is, int $was): int => $is - $was, self::reads($set), $before);
        self::assertSame([0, 30], [$primary, $one + $other]);
        self::assertGreaterThanOrEqual(12, min($one, $other));
        for ($i = 0; $i < 100; $i++) {
            self::assertSame(['OK', "v$i"], $redis->pipeline()->set('k', "v$i")->get('k')->execute());
        }
        self::assertSame($before[0] + 100, self::reads($set)[0]);
    }

    public function test_a_replica_that_is_killed_under_reads_costs_next_to_nothing(): void
    {
        $set = $this->replicaSet();
        $redis = self::reading($set, 'prefer-replica');
        $longest = 0.0;
        for ($i = 0; $i < 300; $i++) {
            if ($i === 100) {
                $set->replica(0)->kill();
            }
            $begun = Wait::now();
            self::assertSame('v', $redis->get('k'));
            $longest = max($longest, Wait::now() - $begun);
            usleep(1000);
        }
        self::assertLessThan(0.03, $longest);
        self::assertSame(0, self::reads($set)[0], 'the other replica has answered');
        $why = array_column($redis->topology()['readers'], 'why_not', 'node');
        self::assertNotNull($why[$set->replica(0)->address()], self::seen($why));
    }

    public function test_a_replica_that_hangs_costs_one_read_the_time_of_suspicion(): void
    {
        $set = $this->replicaSet();
        $redis = self::reading($set, 'replica', ['suspect_after' => 0.1]);
        for ($i = 0; $i < 4; $i++) {
            $redis->get('k');
        }
        $set->replica(0)->freeze();
        try {
            $begun = Wait::now();
            for ($i = 0; $i < 50; $i++) {
                self::assertSame('v', $redis->get('k'));
            }
            $took = Wait::now() - $begun;
        } finally {
            $set->replica(0)->thaw();
        }
        self::assertGreaterThan(0.09, $took);
        self::assertLessThan(0.2, $took);
    }

    public function test_a_replica_that_follows_nobody_is_not_read_from(): void
    {
        $set = $this->replicaSet();
        $redis = self::reading($set, 'replica', ['command_timeout' => 0.5]);
        $set->replica(0)->command('REPLICAOF', '127.0.0.1', '1');
        $before = self::reads($set)[1];
        for ($i = 0; $i < 20; $i++) {
            self::assertSame('v', $redis->get('k'));
        }
        self::assertSame($before, self::reads($set)[1]);

        $set->replica(1)->command('REPLICAOF', '127.0.0.1', '1');
        ResilientRedis::resetPools();
        $redis = new ResilientRedis($set->endpoints(), ['read_from' => 'replica', 'command_timeout' => 0.5]);
        $failure = self::thrown(ConnectionException::class, static fn () => $redis->get('k'));
        self::assertStringContainsString('no replica can be read from', $failure->getMessage());
        self::assertStringContainsString('disconnected from its primary', $failure->getMessage());
        self::assertSame('v', $redis->withOptions(['read_from' => 'prefer-replica'])->get('k'));
    }

    public function test_a_scan_sees_every_key_though_reads_are_spread(): void
    {
        $set = $this->replicaSet();
        $redis = self::reading($set, 'prefer-replica');
        $redis->mset(array_fill_keys(array_map(static fn (int $i): string => "scan:$i", range(1, 2000)), 'v'));
        Wait::until('the replicas have the keys', static fn (): bool => $set->replica(0)->command('DBSIZE') === 2001 && $set->replica(1)->command('DBSIZE') === 2001);
        $seen = [];
        $cursor = '0';
        do {
            [$cursor, $keys] = $redis->scan($cursor, 'MATCH', 'scan:*', 'COUNT', 10);
            $seen += array_flip($keys);
        } while ((string) $cursor !== '0');
        self::assertCount(2000, $seen);
    }

    public function test_reads_go_to_the_replicas_of_the_promoted_primary(): void
    {
        $set = $this->replicaSet();
        $redis = self::reading($set, 'prefer-replica');
        $redis->get('k');
        $set->primary()->kill();
        $set->promote($set->replica(0), $set->primary());
        $redis->del('k');
        $redis->rpush('k', ['w']);
        $set->waitUntilLinked($set->replica(0));
        Wait::until('the other replica has the list', static fn (): bool => $set->replica(1)->command('TYPE', 'k') === 'list');
        $before = $set->replica(1)->calls('llen');
        Wait::until('the other replica is read from', static function () use ($redis, $set, $before): bool {
            self::assertSame(1, $redis->llen('k'));

            return $set->replica(1)->calls('llen') > $before;
        });
    }

    public function test_a_replica_that_loads_its_data_is_not_read_from_until_it_has_them(): void
    {
        $set = $this->replicaSet();
        $redis = self::reading($set, 'replica');
        $redis->get('k');
        $redis->get('k');
        $set->replica(0)->restartLoading(2000, 2.0);
        $start = Wait::now();
        for ($i = 0; $i < 20; $i++) {
            self::assertSame('v', $redis->get('k'));
        }
        self::assertLessThan(1.0, Wait::now() - $start, 'seconds for 20 reads while one of two replicas loads');
        $set->replica(0)->waitUntilLinked();
        Wait::until('it is read from again', static function () use ($redis, $set): bool {
            $redis->get('k');

            return $set->replica(0)->calls('get') > 0;
        }, 15.0);
    }

    public function test_the_reader_endpoint_is_read_from_though_the_primary_does_not_know_it(): void
    {
        $set = $this->replicaSet(1);
        // A replica that its primary names by an address where nobody is, as behind a reader endpoint of its own.
        $set->replica()->command('CONFIG', 'SET', 'replica-announce-port', '1');
        $set->primary()->command('CLIENT', 'KILL', 'TYPE', 'replica');
        $set->replica()->waitUntilLinked();
        $redis = new ResilientRedis($set->primary()->endpoint(), ['read_from' => 'replica', 'reader' => "tcp://localhost:{$set->replica()->port}"]);
        $redis->set('k', 'v');
        self::waitUntilCopied($set->replica());
        for ($i = 0; $i < 20; $i++) {
            self::assertSame('v', $redis->get('k'));
        }
        self::assertSame([0, 20], self::reads($set));
    }
}
