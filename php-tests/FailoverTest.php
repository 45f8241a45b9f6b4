<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConnectionException;
use ResilientRedis\OutcomeUnknown;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\ReplicaSet;
use Tests\Support\Wait;

/** A failover is a pause: real servers lose their primary, and the commands go on. */
final class FailoverTest extends RedisTestCase
{
    /** How long after a promotion a command may still take; generous, for busy machines. The demo holds it to 50 ms. */
    private const SOON = 0.5;

    /** @var list<array{string, array<string, mixed>}> */
    private array $events = [];

    /** @return iterable<string, array{bool}> what the client is given */
    public static function configurations(): iterable
    {
        yield 'one endpoint' => [false];
        yield 'a list of nodes' => [true];
    }

    /** @dataProvider configurations */
    public function test_the_replicas_are_found_out(bool $list): void
    {
        $set = $this->replicaSet();
        $redis = $this->clientOf($set, $list);
        $redis->set('k', 'v');
        $topology = $redis->topology();
        $seen = self::seen($topology);
        self::assertSame($set->primary()->address(), $topology['primary'], $seen);
        self::assertEqualsCanonicalizing(
            [$set->replica(0)->address(), $set->replica(1)->address()],
            $topology['replicas'],
            $seen,
        );
        self::assertSame('standalone', $topology['mode'], $seen);
        self::assertSame([], $this->events);
    }

    public function test_a_list_in_any_order_leads_to_the_primary(): void
    {
        $set = $this->replicaSet();
        $redis = new ResilientRedis(array_reverse($set->endpoints()));
        self::assertSame(1, $redis->incr('n'));
        self::assertSame('1', $set->primary()->command('GET', 'n'));
    }

    public function test_the_address_of_a_replica_alone_leads_to_the_primary(): void
    {
        $set = $this->replicaSet(1);
        $redis = new ResilientRedis($set->replica()->endpoint());
        self::assertSame(1, $redis->incr('n'));
        self::assertSame('1', $set->primary()->command('GET', 'n'));
    }

    /** @dataProvider configurations */
    public function test_a_killed_primary_is_a_pause_until_a_replica_is_promoted(bool $list): void
    {
        $set = $this->replicaSet();
        $redis = $this->clientOf($set, $list);
        $redis->set('k', 'before');
        $before = $redis->stats();
        $epoch = $redis->topology()['epoch'];
        $this->waitUntilCopied($set, 'k', 'before');

        $promotion = $set->promoteLater($set->replica(0), 0.3, [$set->replica(1)]);
        $set->primary()->kill();
        self::assertSame(1, $redis->incr('n'));
        $answered = Wait::now();
        self::assertSame('before', $redis->get('k'));
        self::assertSame('OK', $redis->set('k', 'after'));

        self::assertSame(0, $promotion->wait(), $promotion->errors());
        $late = $answered - (float) $promotion->output();
        self::assertGreaterThan(0, $late, 'a write before the promotion?');
        self::assertLessThan(self::SOON, $late, 'seconds from the promotion to the first write');
        $this->assertMoved($redis, $set->primary(), $set->replica(0), $epoch);
        self::assertSame($before['failovers'] + 1, $redis->stats()['failovers']);
        self::assertSame($before['unknown'], $redis->stats()['unknown']);
        self::assertSame('1', $set->replica(0)->command('GET', 'n'), 'applied once');
    }

    /** @dataProvider configurations */
    public function test_a_planned_failover_is_not_noticed(bool $list): void
    {
        $set = $this->replicaSet();
        $redis = $this->clientOf($set, $list);
        self::assertSame(1, $redis->incr('n'));
        $epoch = $redis->topology()['epoch'];
        $this->waitUntilCopied($set, 'n', '1');

        $promotedAt = $set->promote($set->replica(1));
        self::assertSame(2, $redis->incr('n'), 'the old primary refused it as READONLY, so it was not applied there');
        self::assertLessThan(self::SOON, Wait::now() - $promotedAt, 'seconds from the promotion to the first write');
        $this->assertMoved($redis, $set->primary(), $set->replica(1), $epoch);
        self::assertSame('2', $set->replica(1)->command('GET', 'n'));
    }

    /** @dataProvider configurations */
    public function test_a_frozen_primary_is_left_when_a_replica_is_promoted(bool $list): void
    {
        $set = $this->replicaSet();
        $redis = $this->clientOf($set, $list);
        $redis->set('k', 'before');
        $epoch = $redis->topology()['epoch'];

        $set->primary()->freeze();
        $start = Wait::now();
        $set->promote($set->replica(0), $set->primary());
        self::assertSame('OK', $redis->set('k', 'after'));
        self::assertSame('after', $redis->get('k'));
        self::assertLessThan(2.0, Wait::now() - $start, 'seconds; read_write_timeout would have been 3');
        self::assertSame('after', $set->replica(0)->command('GET', 'k'));
        $this->assertMoved($redis, $set->primary(), $set->replica(0), $epoch);

        // It wakes up and still believes that it is the primary.
        $set->primary()->thaw();
        self::assertSame(1, $redis->incr('n'));
        self::assertSame('1', $set->replica(0)->command('GET', 'n'));
        self::assertSame($set->replica(0)->address(), $redis->topology()['primary']);
    }

    public function test_an_increment_that_a_frozen_primary_holds_is_reported_as_unknown(): void
    {
        $set = $this->replicaSet();
        $redis = $this->clientOf($set, true);
        $redis->ping();
        $set->primary()->freeze();
        $set->promote($set->replica(0), $set->primary());
        $exception = self::thrown(OutcomeUnknown::class, static fn () => $redis->incr('n'));
        self::assertSame($set->primary()->address(), $exception->getNode());
        self::assertSame(1, $redis->incr('n'), 'the next one finds the new primary');
        self::assertSame('1', $set->replica(0)->command('GET', 'n'));
    }

    public function test_a_slow_command_is_not_cut_short_by_suspicion(): void
    {
        $set = $this->replicaSet(1);
        $redis = $this->clientOf($set, false);
        $redis->ping();
        $start = Wait::now();
        self::assertSame('OK', $redis->executeRaw(['DEBUG', 'SLEEP', '0.8']));
        self::assertGreaterThan(0.8, Wait::now() - $start);
        self::assertSame($set->primary()->address(), $redis->topology()['primary']);
        self::assertNotContains('failover.completed', array_column($this->events, 0));
    }

    public function test_without_a_promotion_the_deadline_ends_the_command_and_a_later_promotion_is_found(): void
    {
        $set = $this->replicaSet();
        $redis = $this->clientOf($set, false, ['command_timeout' => 0.5]);
        $redis->ping();
        $set->primary()->kill();
        $start = Wait::now();
        $exception = self::thrown(ConnectionException::class, static fn () => $redis->incr('n'));
        $took = Wait::now() - $start;
        self::assertNotInstanceOf(OutcomeUnknown::class, $exception, $exception->getMessage());
        self::assertEqualsWithDelta(0.5, $took, 0.4, $exception->getMessage());

        $set->promote($set->replica(1));
        self::assertSame(1, $redis->incr('n'));
        self::assertSame($set->replica(1)->address(), $redis->topology()['primary']);
    }

    public function test_what_one_client_found_out_the_others_of_the_process_know(): void
    {
        $set = $this->replicaSet();
        [$first, $second] = [$this->clientOf($set, false), new ResilientRedis($set->primary()->endpoint())];
        $first->ping();
        $second->ping();
        $set->primary()->kill();
        $set->promote($set->replica(0));
        self::assertSame(1, $first->incr('n'));
        self::assertSame(2, $second->incr('n'));
        $third = new ResilientRedis($set->primary()->endpoint());
        $start = Wait::now();
        self::assertSame(3, $third->incr('n'), 'though its only address is of a dead server');
        self::assertLessThan(0.1, Wait::now() - $start, 'seconds');
    }

    public function test_the_old_primary_may_come_back_as_a_replica_and_be_promoted_again(): void
    {
        $set = $this->replicaSet();
        $redis = $this->clientOf($set, false);
        self::assertSame(1, $redis->incr('n'));
        $this->waitUntilCopied($set, 'n', '1');
        $set->primary()->kill();
        $set->promote($set->replica(0));
        self::assertSame(2, $redis->incr('n'));

        $set->primary()->restart($set->replica(0));
        $set->waitUntilLinked($set->replica(0));
        Wait::until('the old primary has the data', static fn (): bool => $set->primary()->command('GET', 'n') === '2');
        $set->promote($set->primary());
        self::assertSame(3, $redis->incr('n'));
        self::assertSame($set->primary()->address(), $redis->topology()['primary']);
        self::assertSame(
            ['failover.started', 'failover.completed', 'failover.started', 'failover.completed'],
            array_column($this->events, 0),
            self::seen($this->events),
        );
    }

    public function test_a_former_primary_that_was_started_again_from_its_data_is_not_taken_for_the_promoted_one(): void
    {
        $set = $this->replicaSet(1);
        [$former, $promoted] = [$set->primary(), $set->replica()];
        $this->clientOf($set, true)->set('k', 'v');
        Wait::until('the replica has the data', static fn (): bool => $promoted->command('GET', 'k') === 'v');
        // A copy that is still being made for the replica would be in its way.
        Wait::until('no copy is being made', static fn (): bool => $former->info('persistence')['rdb_bgsave_in_progress'] === '0');
        $former->command('SAVE');
        $former->kill();
        $promoted->promote();
        $former->restart();
        self::assertSame(['master', 'master'], [$former->role(), $promoted->role()]);
        $history = $former->info('replication')['master_replid2'];
        self::assertSame($promoted->info('replication')['master_replid2'], $history, 'both name it as their former one');
        foreach ([$set->endpoints(), array_reverse($set->endpoints())] as $endpoints) {
            // What the process has learned is of no help.
            ResilientRedis::resetPools();
            $redis = new ResilientRedis($endpoints);
            $redis->incr('n');
            self::assertSame($promoted->address(), $redis->topology()['primary'], self::seen($redis->topology()));
        }
        self::assertSame('2', $promoted->command('GET', 'n'));
        self::assertNull($former->command('GET', 'n'));
    }

    public function test_a_replica_that_dies_is_not_noticed(): void
    {
        $set = $this->replicaSet();
        $redis = $this->clientOf($set, true);
        $redis->set('k', 'v');
        $set->replica(0)->kill();
        for ($i = 1; $i <= 20; $i++) {
            self::assertSame($i, $redis->incr('n'));
            self::assertSame('v', $redis->get('k'));
        }
        self::assertSame([], $this->events);
    }

    public function test_an_exception_of_a_listener_does_not_break_the_client(): void
    {
        $set = $this->replicaSet(1);
        $redis = new ResilientRedis($set->primary()->endpoint());
        $redis->onEvent(static fn () => throw new \DomainException('a listener failed'));
        $redis->ping();
        $set->promote($set->replica());
        try {
            $redis->incr('n');
        } catch (\DomainException $exception) {
            self::assertSame('a listener failed', $exception->getMessage());
        }
        self::assertSame('1', $set->replica()->command('GET', 'n'));
        try {
            $redis->ping();
        } catch (\DomainException) {
            // The second of the two events.
        }
        self::assertSame(2, $redis->incr('n'));
    }

    /** @param array<string, mixed> $options */
    private function clientOf(ReplicaSet $set, bool $list, array $options = []): ResilientRedis
    {
        $this->events = [];
        $redis = new ResilientRedis($list ? $set->endpoints() : $set->primary()->endpoint(), $options + ['command_timeout' => 5.0]);
        $redis->onEvent(function (string $event, array $details): void {
            $this->events[] = [$event, $details];
        });

        return $redis;
    }

    private function assertMoved(ResilientRedis $redis, RedisServer $from, RedisServer $to, int $epochBefore): void
    {
        $topology = $redis->topology();
        $seen = self::seen(['events' => $this->events, 'topology' => $topology]);
        self::assertSame($to->address(), $topology['primary'], $seen);
        self::assertNotContains($to->address(), $topology['replicas'], $seen);
        self::assertGreaterThan($epochBefore, $topology['epoch'], $seen);

        self::assertSame(['failover.started', 'failover.completed'], array_column($this->events, 0), $seen);
        [$started, $completed] = array_column($this->events, 1);
        self::assertSame($from->address(), $started['node'], $seen);
        self::assertNotSame('', $started['cause'], $seen);
        self::assertSame([$from->address(), $to->address(), true], [$completed['from'], $completed['to'], $completed['promoted']], $seen);
        self::assertIsFloat($completed['duration'], $seen);
        self::assertGreaterThanOrEqual($completed['duration'], $completed['outage'], $seen);
        self::assertSame(1, $completed['waited'], $seen);
        self::assertGreaterThanOrEqual(1, $completed['retried'] + $completed['unknown'], $seen);
    }

    private function waitUntilCopied(ReplicaSet $set, string $key, string $value): void
    {
        foreach ([0, 1] as $number) {
            Wait::until('the replicas have the data', static fn (): bool => $set->replica($number)->command('GET', $key) === $value);
        }
    }
}
