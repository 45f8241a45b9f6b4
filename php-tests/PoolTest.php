<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use Tests\Support\RedisTestCase;
use Tests\Support\Wait;

/** Connections belong to the process; what one object does to its connection no other may notice. */
final class PoolTest extends RedisTestCase
{
    public function test_a_second_client_with_the_same_configuration_costs_no_connection_and_no_round_trip(): void
    {
        $first = self::client();
        $first->set('k', 'v');
        $before = self::shared()->counters();
        $second = new ResilientRedis(self::shared()->endpoint());
        self::assertSame('v', $second->get('k'));
        $spent = self::shared()->counters()->since($before);
        self::assertSame([0, 1], [$spent->connections, $spent->commands], 'connections and commands of new + GET');
    }

    public function test_a_connection_outlives_its_client(): void
    {
        $client = self::client();
        $client->ping();
        unset($client);
        $before = self::shared()->counters();
        self::client()->ping();
        self::assertSame(0, self::shared()->counters()->since($before)->connections, 'connections');
    }

    public function test_another_configuration_has_connections_of_its_own(): void
    {
        $zero = self::client();
        $one = self::client(['database' => 1]);
        $zero->set('k', 'in 0');
        $one->set('k', 'in 1');
        self::assertSame(['in 0', 'in 1'], [$zero->get('k'), $one->get('k')]);
        $databases = array_column($zero->stats()['pools'], 'database');
        sort($databases);
        self::assertSame([0, 1], $databases, self::seen($zero->stats()['pools']));
    }

    public function test_select_changes_one_object_only(): void
    {
        [$mine, $other] = [self::client(), self::client()];
        $mine->set('k', 'in 0');
        self::assertSame('OK', $mine->select(3));
        $mine->set('k', 'in 3');
        self::assertSame('in 0', $other->get('k'));
        self::assertSame('in 3', $mine->get('k'));
        unset($mine);
        self::assertSame('in 0', self::client()->get('k'));
        self::assertSame('in 0', $other->get('k'));
    }

    public function test_select_survives_a_lost_connection(): void
    {
        $redis = self::client();
        $redis->select(3);
        $redis->set('k', 'in 3');
        self::shared()->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        self::assertSame('in 3', $redis->get('k'));
    }

    public function test_a_transaction_is_applied_as_one_and_commands_of_others_stay_out_of_it(): void
    {
        [$mine, $other] = [self::client(), self::client()];
        $other->set('k', 'before');
        self::assertSame('OK', $mine->multi());
        self::assertSame('QUEUED', $mine->set('k', 'inside'));
        self::assertSame('before', $other->get('k'));
        self::assertSame(1, $other->incr('n'));
        self::assertSame('QUEUED', $mine->incr('n'));
        self::assertSame(['OK', 2], $mine->exec());
        self::assertSame('inside', $other->get('k'));
    }

    public function test_discard_drops_what_was_queued(): void
    {
        $redis = self::client();
        $redis->multi();
        $redis->set('k', 'never');
        self::assertSame('OK', $redis->discard());
        self::assertNull($redis->get('k'));
    }

    public function test_a_transaction_left_open_does_not_reach_the_next_client(): void
    {
        $redis = self::client();
        $redis->multi();
        $redis->set('k', 'never');
        unset($redis);
        $next = self::client();
        self::assertSame('PONG', $next->ping());
        self::assertNull($next->get('k'));
        Wait::until(
            'no connection is in MULTI',
            static fn (): bool => self::shared()->inTransaction() === 0,
        );
    }

    public function test_a_watch_left_behind_does_not_reach_the_next_client(): void
    {
        $redis = self::client();
        $redis->watch('k');
        unset($redis);
        $next = self::client();
        self::shared()->command('SET', 'k', 'changed by another');
        $next->multi();
        $next->set('k', 'mine');
        self::assertSame(['OK'], $next->exec());
    }

    public function test_a_watched_key_that_changed_aborts_the_transaction(): void
    {
        $redis = self::client();
        $redis->watch('k');
        self::shared()->command('SET', 'k', 'changed by another');
        $redis->multi();
        $redis->set('k', 'mine');
        try {
            self::assertNull($redis->exec());
        } catch (ResilientRedis\AbortedMultiExecException $exception) {
            self::assertNotSame('', $exception->getMessage());
        }
        self::assertSame('changed by another', $redis->get('k'));
    }

    public function test_an_idle_connection_that_the_server_closed_costs_no_error(): void
    {
        $redis = self::client();
        $redis->ping();
        for ($i = 1; $i <= 5; $i++) {
            self::shared()->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
            self::assertSame($i, $redis->incr('n'));
        }
        self::assertSame('5', self::shared()->command('GET', 'n'));
    }

    public function test_a_server_that_was_restarted_costs_no_error(): void
    {
        $server = $this->server();
        $redis = new ResilientRedis($server->endpoint());
        $redis->set('k', 'gone with the restart');
        $server->kill();
        $server->restart();
        self::assertSame(1, $redis->incr('n'));
    }

    public function test_reset_closes_what_is_idle_and_clients_go_on(): void
    {
        $redis = self::client();
        $redis->set('k', 'v');
        self::assertCount(1, self::shared()->clients());
        ResilientRedis::resetPools();
        Wait::until('the server has no client left', static fn (): bool => self::shared()->clients() === []);
        self::assertSame('v', $redis->get('k'));
    }

    public function test_what_is_in_use_at_a_reset_is_counted_and_closes_when_it_is_done(): void
    {
        foreach ([0, 3] as $database) {
            $redis = self::client();
            $redis->multi();
            ResilientRedis::resetPools();
            self::assertSame(1, $redis->stats()['connections']['leased'], self::seen($redis->stats()));
            $redis->ping();
            self::assertSame(['PONG'], $redis->exec(), 'its holder goes on');
            self::assertSame([0, 0], [$redis->stats()['connections']['leased'], $redis->stats()['connections']['idle']]);
            Wait::until('the server has no client left', static fn (): bool => self::shared()->clients() === []);
            // In the middle of a command of its own, too.
            $redis->watch('k');
            ResilientRedis::resetPools();
            $redis->select($database);
            $redis->unwatch();
            Wait::until('the server has no client left', static fn (): bool => self::shared()->clients() === []);
            self::assertSame('PONG', $redis->ping());
            self::assertCount(1, self::shared()->clients(), 'and then connections are kept again');
            ResilientRedis::resetPools();
        }
    }

    public function test_the_statistics_count(): void
    {
        $redis = self::client();
        $before = $redis->stats();
        $redis->set('k', 'v');
        $redis->get('k');
        $redis->multi();
        $during = $redis->stats();
        $redis->discard();
        $after = $redis->stats();
        $seen = self::seen([$before, $during, $after]);
        self::assertGreaterThanOrEqual(2, $after['commands'] - $before['commands'], $seen);
        self::assertSame(1, $after['connections']['opened'] - $before['connections']['opened'], $seen);
        self::assertSame(1, $during['connections']['leased'], $seen);
        self::assertSame([0, 1], [$after['connections']['leased'], $after['connections']['idle']], $seen);
        self::assertSame(0, $after['retries'] - $before['retries'], $seen);
        self::assertContains(self::shared()->address(), array_column($after['pools'], 'node'), $seen);
    }

    public function test_connecting_and_disconnecting_by_hand(): void
    {
        $redis = self::client();
        self::assertFalse($redis->isConnected());
        $redis->connect();
        self::assertTrue($redis->isConnected());
        $redis->disconnect();
        self::assertFalse($redis->isConnected());
        self::assertSame('PONG', $redis->ping());
        self::assertTrue($redis->isConnected());
    }
}
