<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\Iterator\Keyspace;
use ResilientRedis\NotSupportedException;
use Tests\Support\RedisTestCase;
use Tests\Support\SentinelSet;
use Tests\Support\Wait;

/** One node of a deployment as a client of its own, and the nodes one by one. */
final class NodesTest extends RedisTestCase
{
    /** @return iterable<string, array{int}> */
    public static function protocols(): iterable
    {
        yield 'RESP2' => [2];
        yield 'RESP3' => [3];
    }

    /** @dataProvider protocols */
    public function test_a_node_is_chosen_by_id_role_or_alias_and_no_other_is_talked_to(int $protocol): void
    {
        $set = $this->replicaSet();
        $parameters = [];
        foreach ($set->nodes as $number => $node) {
            $parameters[] = ['host' => $node->host, 'port' => $node->port, 'alias' => "node$number"];
        }
        $redis = new ResilientRedis($parameters, ['protocol' => $protocol, 'read_from' => 'prefer-replica', 'min_replicas' => 1]);
        $port = static fn (ResilientRedis $client): string => $client->config('GET', 'port')['port'];
        foreach ($set->nodes as $number => $node) {
            self::assertSame((string) $node->port, $port($redis->getClientBy('id', $node->address())));
            self::assertSame((string) $node->port, $port($redis->getClientBy('ALIAS', "node$number")));
        }
        foreach (['master', 'primary'] as $role) {
            self::assertSame((string) $set->primary()->port, $port($redis->getClientBy('role', $role)));
        }
        $replica = $redis->getClientBy('role', 'slave');
        self::assertSame('slave', $replica->role()[0]);
        $set->primary()->command('SET', 'k', 'v');
        $replicas = [$set->replica(0), $set->replica(1)];
        foreach ($replicas as $node) {
            $one = $redis->getClientBy('id', $node->address());
            Wait::until('the key is there', static fn (): bool => $one->get('k') === 'v');
            self::assertSame(['k'], iterator_to_array(new Keyspace($one)));
            self::assertSame(['v', 'v'], $one->pipeline()->get('k')->get('k')->execute());
            self::assertSame($node->address(), $one->topology()['primary'], 'to this client it is the only node');
        }
        self::assertSame('OK', $redis->getClientBy('role', 'master')->set('k', 'w'));
    }

    public function test_a_replica_says_at_once_that_it_takes_no_writes(): void
    {
        $set = $this->replicaSet(1);
        $redis = new ResilientRedis($set->endpoints(), ['command_timeout' => 10]);
        $replica = $redis->getClientBy('role', 'replica');
        $began = Wait::now();
        $calls = [
            static fn () => $replica->set('k', 'v'),
            static fn () => $replica->eval("return redis.call('set', KEYS[1], 'v')", 1, 'k'),
            static fn () => $replica->pipeline()->get('k')->set('k', 'v')->execute(),
            static fn () => $replica->transaction()->set('k', 'v')->execute(),
        ];
        foreach ($calls as $number => $call) {
            $error = self::thrown(\ResilientRedis\Exception::class, $call);
            self::assertStringContainsString('READONLY', $error->getMessage(), "call $number");
        }
        self::assertLessThan(2.0, Wait::now() - $began, 'seconds for four refusals');
    }

    public function test_the_client_of_a_node_stays_with_it_through_a_failover(): void
    {
        $set = $this->replicaSet(1);
        $redis = new ResilientRedis($set->endpoints());
        $redis->set('k', 'v');
        $former = $redis->getClientBy('role', 'master');
        $former->get('k');
        $set->promote($set->replica());
        $redis->set('k', 'w');
        self::assertSame('slave', $former->role()[0]);
        self::assertSame($set->replica()->address(), $redis->topology()['primary']);
    }

    public function test_a_sentinel_and_the_nodes_behind_it_can_be_asked(): void
    {
        $set = $this->stoppedAtTheEnd(SentinelSet::start());
        $redis = new ResilientRedis($set->endpoints(), ['replication' => 'sentinel', 'service' => SentinelSet::SERVICE, 'database' => 1]);
        $sentinel = $redis->getClientBy('role', 'sentinel');
        self::assertSame('sentinel', $sentinel->role()[0]);
        self::assertSame([SentinelSet::SERVICE], $sentinel->role()[1]);
        self::assertSame('sentinel', $redis->getClientBy('id', $set->sentinels[0]->address())->role()[0]);
        self::assertSame('master', $redis->getClientBy('id', $set->nodes->primary()->address())->role()[0]);
        self::assertSame('slave', $redis->getClientBy('role', 'slave')->role()[0]);
    }

    public function test_a_single_server_can_be_chosen_too_and_options_and_class_stay(): void
    {
        $redis = new class(self::shared()->endpoint() . '?alias=it&database=3', ['command_timeout' => 4]) extends ResilientRedis {
            public string $own = 'a';
        };
        $redis->own = 'b';
        $redis->set('k', 'v');
        $one = $redis->getClientBy('id', self::shared()->address());
        self::assertInstanceOf($redis::class, $one);
        self::assertNotSame($redis, $one);
        self::assertSame(['v', 'b'], [$one->get('k'), $one->own]);
        self::assertSame('v', $redis->getClientBy('alias', 'it')->get('k'));
        self::assertSame('v', $redis->getClientBy('role', 'master')->get('k'));
    }

    public function test_what_cannot_be_chosen_is_said(): void
    {
        $redis = self::client();
        $wrong = [
            ['id', '127.0.0.1:1', self::shared()->address()],
            ['role', 'boss', "'master'"],
            ['role', 'replica', self::shared()->address()],
            ['role', 'sentinel', self::shared()->address()],
            ['alias', 'nobody', self::shared()->address()],
            ['name', 'x', "'id', 'role', 'alias'"],
            [[], 'x', 'a string'],
        ];
        foreach ($wrong as [$selector, $value, $text]) {
            $error = self::thrown(\InvalidArgumentException::class, static fn () => $redis->getClientBy($selector, $value));
            self::assertStringContainsString($text, $error->getMessage());
        }
        foreach (['key' => 'k', 'slot' => 7] as $selector => $value) {
            $error = self::thrown(NotSupportedException::class, static fn () => $redis->getClientBy($selector, $value));
            self::assertStringContainsString('needs a cluster', $error->getMessage());
        }
        $get = $redis->createCommand('get', ['k']);
        self::thrown(NotSupportedException::class, static fn () => $redis->getClientBy('command', $get));
        $error = self::thrown(\InvalidArgumentException::class, static fn () => $redis->getClientBy('command', 'get'));
        self::assertStringStartsWith("getClientBy('command', ...): value: given string 'get', accepted: a command object", $error->getMessage());
        $error = self::thrown(\InvalidArgumentException::class, static fn () => $redis->getClientBy('role', 'boss'));
        self::assertStringStartsWith("getClientBy('role', ...): value: given string 'boss', accepted: ", $error->getMessage());
        $error = self::thrown(\InvalidArgumentException::class, static fn () => $redis->getClientBy('name', 'x'));
        self::assertStringStartsWith("getClientBy: selector: given string 'name', accepted: ", $error->getMessage());
        $bare = new class extends ResilientRedis {
            public function __construct()
            {
            }
        };
        self::thrown(\RuntimeException::class, static fn () => $bare->getClientBy('role', 'master'));
        self::thrown(\RuntimeException::class, static fn () => iterator_to_array($bare));
    }

    public function test_a_loop_over_a_client_meets_each_part_of_the_data_once(): void
    {
        $redis = self::client();
        self::assertInstanceOf(\IteratorAggregate::class, $redis);
        self::assertSame([self::shared()->address() => $redis], iterator_to_array($redis));
        $set = $this->replicaSet(1);
        $redis = new ResilientRedis($set->endpoints());
        $seen = [];
        foreach ($redis as $id => $node) {
            $seen[] = $id;
            self::assertSame('OK', $node->flushdb());
        }
        self::assertSame([$set->primary()->address()], $seen);
        $set->primary()->kill();
        $set->promote($set->replica(), $set->primary());
        $redis->set('k', 'v');
        self::assertSame([$set->replica()->address()], array_keys(iterator_to_array($redis)));
    }
}
