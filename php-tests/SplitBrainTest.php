<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\NotEnoughReplicasException;
use ResilientRedis\OutcomeUnknown;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\ReplicaSet;
use Tests\Support\Wait;

/** A replica is promoted while the old primary goes on taking writes: few of those may be acknowledged and lost. */
final class SplitBrainTest extends RedisTestCase
{
    /** Operations a second, a third of them each SET, INCR and GET. */
    private const RATE = 300;

    /** @var array{SET: list<string>, INCR: list<string>} the keys of what was acknowledged */
    private array $acknowledged = ['SET' => [], 'INCR' => []];

    /** How many writes too few replicas acknowledged. */
    private int $missed = 0;

    /** @var list<string> */
    private array $events = [];

    /** @return iterable<string, array{bool}> */
    public static function followers(): iterable
    {
        yield 'the other replica follows the promoted one at once' => [true];
        yield 'the other replica stays with the old primary' => [false];
    }

    /** @dataProvider followers */
    public function test_few_writes_are_acknowledged_by_the_old_primary_and_lost(bool $follows): void
    {
        $set = $this->replicaSet();
        $redis = $this->clientOf($set);
        $this->traffic($redis, 0.5);
        $this->waitUntilCopied($set);

        $set->replica(0)->promote();
        if ($follows) {
            $set->replica(1)->replicaOf($set->replica(0));
        }
        $this->traffic($redis, 1.0);
        $this->demoteOldPrimary($set);
        $this->traffic($redis, 0.5);

        $lost = $this->lostAt($set->replica(0));
        self::assertLessThanOrEqual(10, $lost['SET'], self::seen($lost));
        self::assertLessThanOrEqual(10, $lost['INCR'], self::seen($lost));
        self::assertSame($set->replica(0)->address(), $redis->topology()['primary']);
        self::assertSame(['primary.suspected', 'failover.started', 'failover.completed'], $this->events);
    }

    public function test_the_question_rides_with_writes_twenty_times_a_second_at_most_and_never_with_reads(): void
    {
        $set = $this->replicaSet(1);
        $redis = $this->clientOf($set);
        $redis->set('k', 'v');
        $asked = $set->primary()->calls('ROLE');
        $end = Wait::now() + 0.5;
        for ($reads = 0; Wait::now() < $end; $reads++) {
            $redis->get('k');
        }
        self::assertSame($asked, $set->primary()->calls('ROLE'), 'a read costs one command');

        $begun = Wait::now();
        for ($writes = 0; Wait::now() < $begun + 1.0; $writes++) {
            $redis->set('k', 'v');
        }
        $asked = $set->primary()->calls('ROLE') - $asked;
        self::assertLessThanOrEqual((int) ceil((Wait::now() - $begun) / 0.05), $asked);
        self::assertGreaterThanOrEqual(10, $asked, 'of 20 a second');
        self::assertSame($writes + 1, $set->primary()->calls('SET'));
        self::assertSame($reads, $set->primary()->calls('GET'));
    }

    public function test_dead_replicas_do_not_slow_the_program_down(): void
    {
        $set = $this->replicaSet();
        $redis = $this->clientOf($set);
        $this->traffic($redis, 0.2);
        $connections = $set->primary()->counters()->connections;
        $set->replica(0)->kill();
        $set->replica(1)->kill();
        $longest = $this->traffic($redis, 3.0);
        self::assertLessThan(0.1, $longest, 'the longest operation, in seconds');
        // It looks around after 0.05, 0.1, 0.2, 0.4 and 0.8 s, and then every second.
        self::assertLessThanOrEqual(9, $set->primary()->counters()->connections - $connections);
        self::assertSame([], array_diff($this->events, ['primary.suspected']));
        self::assertSame($set->primary()->address(), $redis->topology()['primary']);
    }

    public function test_replicas_that_hang_hold_up_one_write_for_a_moment(): void
    {
        $set = $this->replicaSet();
        $redis = $this->clientOf($set);
        $this->traffic($redis, 0.2);
        foreach ([$set->replica(0), $set->replica(1)] as $replica) {
            $replica->freeze();
        }
        $set->primary()->command('CLIENT', 'KILL', 'TYPE', 'replica');
        $longest = $this->traffic($redis, 1.0);
        self::assertLessThan(0.4, $longest, 'suspect_after is 0.25 s');
        self::assertLessThan(0.1, $this->traffic($redis, 2.0), 'it is not waited for again');
        self::assertSame($set->primary()->address(), $redis->topology()['primary']);
    }

    /** @return iterable<string, array{int, int}> replicas, and how many have to acknowledge: all of them */
    public static function quorums(): iterable
    {
        yield 'one replica' => [1, 1];
        yield 'two replicas' => [2, 2];
    }

    /** @dataProvider quorums */
    public function test_no_write_is_acknowledged_and_lost_with_min_replicas(int $replicas, int $count): void
    {
        $set = $this->replicaSet($replicas);
        $redis = $this->clientOf($set, ['min_replicas' => ['count' => $count, 'timeout' => 2.0]]);
        $this->traffic($redis, 0.5);
        self::assertSame(0, $this->missed);
        $redis = $this->clientOf($set, ['min_replicas' => ['count' => $count, 'timeout' => 0.05]], true);
        $this->traffic($redis, 0.3);

        $set->replica(0)->promote();
        if ($replicas > 1) {
            $set->replica(1)->replicaOf($set->replica(0));
        }
        $this->traffic($redis, 1.0);
        $this->demoteOldPrimary($set);
        $this->traffic($redis, 1.0);

        self::assertSame(['SET' => 0, 'INCR' => 0], $this->lostAt($set->replica(0)));
        self::assertGreaterThan(0, $this->missed, 'the old primary could not have them acknowledged');
        self::assertSame($set->replica(0)->address(), $redis->topology()['primary']);
    }

    public function test_a_write_that_too_few_replicas_acknowledge_says_so_and_is_applied_once(): void
    {
        $set = $this->replicaSet(1);
        $redis = $this->clientOf($set, ['min_replicas' => ['count' => 1, 'timeout' => 5.0]]);
        self::assertSame(1, $redis->incr('n'));
        $redis = $this->clientOf($set, ['min_replicas' => ['count' => 2, 'timeout' => 0.05], 'retry' => ['ceiling' => 'accumulating']]);
        $begun = Wait::now();
        $exception = self::thrown(NotEnoughReplicasException::class, static fn () => $redis->incr('n'));
        self::assertGreaterThan(0.04, Wait::now() - $begun);
        self::assertInstanceOf(OutcomeUnknown::class, $exception);
        self::assertSame(2, $exception->getWanted());
        self::assertSame('INCR', $exception->getCommand());
        self::assertSame($set->primary()->address(), $exception->getNode());
        self::assertStringContainsString('INCR was applied', $exception->getMessage());
        self::assertSame('2', $set->primary()->command('GET', 'n'));
        self::assertSame('2', $redis->get('n'), 'a read waits for nobody');
        self::assertSame(2, $set->primary()->calls('WAIT'));
        self::assertSame(['OK', 1], [$redis->multi(), count((array) self::queued($redis))]);
        self::thrown(NotEnoughReplicasException::class, static fn () => $redis->exec());
        self::assertSame('3', $redis->get('n'), 'the transaction is over');
    }

    public function test_a_plain_number_and_an_ini_value_do_as_well_and_who_may_not_wait_hears_of_the_option(): void
    {
        $server = $this->server();
        $server->command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all', '-wait');
        $parameters = ['port' => $server->port, 'username' => 'app', 'password' => 'secret'];
        $options = [['min_replicas' => 1], ['min_replicas' => '1']];
        foreach ($options as $option) {
            $redis = new ResilientRedis($parameters, $option);
            $exception = self::thrown(NotEnoughReplicasException::class, static fn () => $redis->set('k', 'v'));
            self::assertStringContainsString('min_replicas', $exception->getMessage());
            self::assertStringContainsString('NOPERM', $exception->getMessage());
            self::assertSame([0, 1], [$exception->getReached(), $exception->getWanted()]);
        }
        ini_set('resilient_redis.min_replicas', '1');
        try {
            $redis = new ResilientRedis($parameters);
            self::thrown(NotEnoughReplicasException::class, static fn () => $redis->set('k', 'v'));
            $redis = new ResilientRedis($parameters, ['min_replicas' => 0]);
            self::assertSame('OK', $redis->set('k', 'v'));
        } finally {
            ini_restore('resilient_redis.min_replicas');
        }
    }

    public function test_a_batch_waits_once_and_a_call_site_may_ask_for_it_alone(): void
    {
        $set = $this->replicaSet(1);
        $redis = $this->clientOf($set);
        $sure = $redis->withOptions(['min_replicas' => ['count' => 1, 'timeout' => 5.0]]);
        $filled = static function (object $batch): void {
            $batch->set('k', 'v');
            $batch->incr('n');
            $batch->get('k');
        };
        self::assertSame(['OK', 1, 'v'], $sure->pipeline($filled));
        self::assertSame(1, $set->primary()->calls('WAIT'));
        self::assertSame(['OK', 2, 'v'], $sure->transaction($filled));
        self::assertSame(2, $set->primary()->calls('WAIT'));
        self::assertSame(['v'], $sure->pipeline(static fn (object $batch) => $batch->get('k')));
        self::assertSame('OK', $redis->set('k', 'v'));
        self::assertSame(2, $set->primary()->calls('WAIT'), 'neither reads nor the other client wait');

        $unsure = $redis->withOptions(['min_replicas' => ['count' => 2, 'timeout' => 0.05]]);
        $exception = self::thrown(NotEnoughReplicasException::class, static fn () => $unsure->pipeline($filled));
        self::assertSame(['OK', 3, 'v'], $exception->getReplies());
        self::assertNull($exception->getIndex());
        self::assertSame(2, $exception->getWanted());
        self::thrown(NotEnoughReplicasException::class, static fn () => $unsure->transaction($filled));
        self::assertSame('4', $redis->get('n'), 'each was applied once');
    }

    private static function queued(ResilientRedis $redis): mixed
    {
        return [$redis->incr('n')];
    }

    /** Runs operations for some time; gives the longest one, in seconds. */
    private function traffic(ResilientRedis $redis, float $seconds): float
    {
        static $number = 0;
        $longest = 0.0;
        $begun = Wait::now();
        for ($turn = 0; ($now = Wait::now()) < $begun + $seconds; $turn++) {
            $key = 'k' . $number++;
            try {
                match ($turn % 3) {
                    0 => $redis->set($key, 'v') && $this->acknowledged['SET'][] = $key,
                    1 => $redis->incr($key) && $this->acknowledged['INCR'][] = $key,
                    2 => $redis->get($key),
                };
            } catch (NotEnoughReplicasException) {
                $this->missed++;
            }
            $longest = max($longest, Wait::now() - $now);
            usleep((int) max(0, ($begun + ($turn + 1) / self::RATE - Wait::now()) * 1e6));
        }

        return $longest;
    }

    /** @return array{SET: int, INCR: int} how many acknowledged writes the node does not have */
    private function lostAt(RedisServer $node): array
    {
        $there = array_flip((array) $node->command('KEYS', '*'));

        return array_map(static fn (array $keys): int => count(array_diff_key(array_flip($keys), $there)), $this->acknowledged);
    }

    /** What is lost by a promotion itself is not what is counted here. */
    private function waitUntilCopied(ReplicaSet $set): void
    {
        $last = $this->acknowledged['INCR'][count($this->acknowledged['INCR']) - 1];
        foreach (array_slice($set->nodes, 1) as $replica) {
            Wait::until('the replicas have the data', static fn (): bool => $replica->command('EXISTS', $last) === 1);
        }
    }

    private function demoteOldPrimary(ReplicaSet $set): void
    {
        $set->primary()->replicaOf($set->replica(0));
    }

    /** @param array<string, mixed> $options */
    private function clientOf(ReplicaSet $set, array $options = [], bool $continues = false): ResilientRedis
    {
        if (!$continues) {
            $this->acknowledged = ['SET' => [], 'INCR' => []];
        }
        $this->missed = 0;
        $this->events = [];
        $redis = new ResilientRedis($set->primary()->endpoint(), $options + ['command_timeout' => 5.0]);
        $redis->onEvent(function (string $event): void {
            $this->events[] = $event;
        });

        return $redis;
    }
}
