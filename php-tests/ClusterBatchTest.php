<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\AbortedMultiExecException;
use ResilientRedis\ClientException;
use ResilientRedis\Response\Error;
use ResilientRedis\ServerException;
use ResilientRedis\Transaction;
use Tests\Support\ClusterTestCase;
use Tests\Support\RedisServer;

/** What is sent together to a Redis Cluster: pipelines over all shards, transactions of one slot, and what cannot be of several. */
final class ClusterBatchTest extends ClusterTestCase
{
    /** @dataProvider protocols */
    public function test_a_pipeline_of_a_thousand_over_all_shards_has_its_replies_in_the_order_of_the_calls(int $protocol): void
    {
        $redis = self::clientOf(self::cluster(), ['protocol' => $protocol]);
        $pipeline = $redis->pipeline();
        for ($i = 0; $i < 500; $i++) {
            $pipeline->set("k$i", "v$i");
        }
        self::assertSame(array_fill(0, 500, 'OK'), $pipeline->execute());
        for ($i = 0; $i < 1000; $i++) {
            $pipeline->get('k' . $i % 600);
        }
        $expected = array_map(static fn (int $i): ?string => $i % 600 < 500 ? 'v' . $i % 600 : null, range(0, 999));
        self::assertSame($expected, $pipeline->execute());
    }

    public function test_a_pipeline_is_one_write_to_each_node(): void
    {
        $redis = self::clientOf(self::cluster());
        $tags = self::tags(self::cluster());
        foreach ($tags as $tag) {
            $redis->get("{{$tag}}k");
        }
        $before = self::cluster()->connections();
        $pipeline = $redis->pipeline();
        for ($i = 0; $i < 300; $i++) {
            $pipeline->incr("{{$tags[$i % 3]}}n");
        }
        self::assertSame(array_merge(...array_map(static fn (int $n): array => [$n, $n, $n], range(1, 100))), $pipeline->execute());
        self::assertSame($before, self::cluster()->connections(), 'nobody is dialled again');
    }

    /** @dataProvider protocols */
    public function test_within_a_pipeline_commands_are_split_and_errors_have_their_place(int $protocol): void
    {
        $redis = self::clientOf(self::cluster(), ['protocol' => $protocol]);
        $redis->mset(['a' => '1', 'b' => '2', 'c' => '3', 'd' => '4']);
        $collected = static fn (ResilientRedis $redis, array $options = []) => $redis->pipeline($options)
            ->mget(['a', 'b', 'c'])->lpush('a', ['x'])->get('d')->incr('b')->exists(['a', 'b', 'c', 'd'])->execute();
        $exception = self::thrown(ServerException::class, static fn () => $collected($redis));
        self::assertSame(['WRONGTYPE', 1], [$exception->getErrorType(), $exception->getIndex()]);
        self::assertSame('4', $exception->getReplies()[2]);
        self::assertSame(3, $exception->getReplies()[3]);
        $replies = $collected(self::clientOf(self::cluster(), ['protocol' => $protocol, 'exceptions' => false]));
        self::assertInstanceOf(Error::class, $replies[1]);
        unset($replies[1]);
        self::assertSame([0 => ['1', '3', '3'], 2 => '4', 3 => 4, 4 => 4], $replies);
    }

    /** @dataProvider protocols */
    public function test_what_is_for_all_nodes_has_one_reply_in_its_place_in_a_pipeline(int $protocol): void
    {
        $redis = self::clientOf(self::cluster(), ['protocol' => $protocol]);
        $redis->flushall();
        $keys = array_map(static fn (string $tag): string => "{{$tag}}k", self::tags(self::cluster()));
        $pipeline = $redis->pipeline();
        foreach ($keys as $key) {
            $pipeline->set($key, 'v');
        }
        $replies = $pipeline->dbsize()->keys('*')->script('LOAD', 'return 7')->set('more', 'v')->dbsize()->flushall()->get('more')
            ->dbsize()->randomkey()->execute();
        sort($replies[4]);
        sort($keys);
        $digest = sha1('return 7');
        self::assertSame(['OK', 'OK', 'OK', 3, $keys, $digest, 'OK', 4, 'OK', null, 0, null], $replies);
        foreach (self::cluster()->primaries() as $node) {
            self::assertSame([1], $node->command('SCRIPT', 'EXISTS', $digest));
        }
    }

    public function test_an_iteration_over_all_nodes_is_refused_in_a_pipeline_before_anything_is_sent(): void
    {
        $redis = self::clientOf(self::cluster());
        $redis->del('k');
        $exception = self::thrown(ClientException::class, static fn () => $redis->pipeline()->set('k', 'v')->scan(0)->execute());
        self::assertStringContainsString('SCAN', $exception->getMessage());
        self::assertNull($redis->get('k'));
    }

    /** @dataProvider protocols */
    public function test_a_transaction_is_of_one_slot(int $protocol): void
    {
        $redis = self::clientOf(self::cluster(), ['protocol' => $protocol]);
        foreach (self::tags(self::cluster()) as $tag) {
            $replies = $redis->transaction(static fn (Transaction $transaction) => $transaction
                ->set("{{$tag}}a", 'v')->hset("{{$tag}}h", ['f' => '1'])->hgetall("{{$tag}}h")->mget(["{{$tag}}a", "{{$tag}}b"]));
            self::assertSame(['OK', 1, ['f' => '1'], ['v', null]], $replies);
            self::assertSame(['v', 'v'], $redis->pipeline(['atomic' => true])->get("{{$tag}}a")->get("{{$tag}}a")->execute());
        }
        $exception = self::thrown(ServerException::class, static fn () => $redis->transaction()->set('k', 'v')->lpush('k', ['x'])->execute());
        self::assertSame(1, $exception->getIndex());
    }

    public function test_check_and_set_is_done_at_the_node_of_the_watched_key(): void
    {
        $redis = self::clientOf(self::cluster());
        $other = self::clientOf(self::cluster());
        foreach (self::tags(self::cluster()) as $tag) {
            $key = "{{$tag}}n";
            $redis->set($key, '1');
            $tries = 0;
            $add = static function (Transaction $transaction) use ($key, $other, &$tries): void {
                $value = (int) $transaction->get($key);
                if (++$tries === 1) {
                    $other->set($key, '10');
                }
                $transaction->multi();
                $transaction->set($key, (string) ($value + 1));
            };
            self::assertSame(['OK'], $redis->transaction(['cas' => true, 'watch' => $key, 'retry' => 2], $add));
            self::assertSame(['11', 2], [$redis->get($key), $tries]);
            $tries = 0;
            self::thrown(AbortedMultiExecException::class, static fn () => $redis->transaction(['cas' => true, 'watch' => $key], $add));
            self::assertSame('10', $redis->get($key));
            self::assertSame('OK', (string) $redis->watch($key));
            self::assertSame('OK', (string) $redis->multi());
            self::assertSame('QUEUED', (string) $redis->incr($key));
            self::assertSame([11], $redis->exec());
        }
    }

    /** @return iterable<string, array{\Closure(ResilientRedis): mixed}> what has the keys `a` and `b`, of different slots */
    public static function acrossSlots(): iterable
    {
        yield 'RENAME' => [static fn (ResilientRedis $redis) => $redis->rename('a', 'b')];
        yield 'SUNIONSTORE' => [static fn (ResilientRedis $redis) => $redis->sunionstore('a', ['b'])];
        yield 'SINTER' => [static fn (ResilientRedis $redis) => $redis->sinter(['a', 'b'])];
        yield 'ZUNIONSTORE' => [static fn (ResilientRedis $redis) => $redis->zunionstore('a', ['b'])];
        yield 'MSETNX' => [static fn (ResilientRedis $redis) => $redis->msetnx(['a' => 1, 'b' => 2])];
        yield 'EVAL' => [static fn (ResilientRedis $redis) => $redis->eval('return 1', 2, 'a', 'b')];
        yield 'BLPOP' => [static fn (ResilientRedis $redis) => $redis->blpop(['a', 'b'], 1)];
        yield 'WATCH' => [static fn (ResilientRedis $redis) => $redis->watch('a', 'b')];
        yield 'as it stands' => [static fn (ResilientRedis $redis) => $redis->executeRaw(['RENAME', 'a', 'b'])];
        yield 'pipeline' => [static fn (ResilientRedis $redis) => $redis->pipeline()->get('x')->rename('a', 'b')->execute()];
        yield 'transaction' => [static fn (ResilientRedis $redis) => $redis->transaction()->get('a')->get('b')->execute()];
        yield 'atomic pipeline' => [static fn (ResilientRedis $redis) => $redis->pipeline(['atomic' => true])->get('a')->get('b')->execute()];
    }

    /** @dataProvider acrossSlots */
    public function test_keys_of_several_slots_where_they_have_to_be_in_one_are_refused_by_name_and_nothing_is_sent(\Closure $call): void
    {
        $redis = self::clientOf(self::cluster());
        foreach (self::tags(self::cluster()) as $tag) {
            $redis->get("{{$tag}}k");
        }
        $sent = static fn (): int => array_sum(array_map(
            static fn (RedisServer $node): int => array_sum(array_map($node->calls(...), ['rename', 'sinter', 'eval', 'blpop', 'watch', 'multi', 'get'])),
            self::cluster()->nodes(),
        ));
        $before = $sent();
        $exception = self::thrown(ClientException::class, static fn () => $call($redis));
        self::assertMatchesRegularExpression('/slot/i', $exception->getMessage());
        self::assertMatchesRegularExpression('/\ba\b.*\bb\b/', $exception->getMessage(), 'both keys');
        self::assertSame($before, $sent());
    }
}
