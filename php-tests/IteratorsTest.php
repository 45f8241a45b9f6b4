<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ClientException;
use ResilientRedis\Iterator\HashKey;
use ResilientRedis\Iterator\Keyspace;
use ResilientRedis\Iterator\ListKey;
use ResilientRedis\Iterator\SetKey;
use ResilientRedis\Iterator\SortedSetKey;
use ResilientRedis\ServerException;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;

/** Iterators over what is too much for one reply. */
final class IteratorsTest extends RedisTestCase
{
    /** @return iterable<string, array{int}> */
    public static function protocols(): iterable
    {
        yield 'RESP2' => [2];
        yield 'RESP3' => [3];
    }

    /** @dataProvider protocols */
    public function test_each_iterator_gives_keys_and_values_as_in_predis(int $protocol): void
    {
        $redis = self::client(['protocol' => $protocol]);
        $redis->hset('h', ['a' => 'x', '7' => 'y', '-1' => '']);
        $redis->sadd('s', ['p', '9']);
        $redis->zadd('z', ['m' => 1.5, '8' => 2]);
        $redis->rpush('l', range(1, 25));
        self::assertSame([['-1', ''], ['a', 'x'], ['7', 'y']], self::sorted(new HashKey($redis, 'h')));
        self::assertSame(['9', 'p'], self::values(new SetKey($redis, 's')));
        self::assertSame([['m', 1.5], ['8', 2.0]], self::sorted(new SortedSetKey($redis, 'z')));
        self::assertSame(array_map('strval', range(1, 25)), iterator_to_array(new ListKey($redis, 'l')));
        self::assertSame(array_map('strval', range(1, 25)), iterator_to_array(new ListKey($redis, 'l', 5)));
        self::assertSame(['h', 'l', 's', 'z'], self::values(new Keyspace($redis)));
        self::assertSame(range(0, 3), array_keys(iterator_to_array(new Keyspace($redis))));
        foreach ([new HashKey($redis, 'none'), new SetKey($redis, 'none'), new SortedSetKey($redis, 'none'), new ListKey($redis, 'none')] as $empty) {
            self::assertSame([], iterator_to_array($empty));
        }
    }

    public function test_a_pattern_and_a_count_are_given_to_the_server_and_empty_pages_do_not_end_it(): void
    {
        $redis = self::client();
        self::fill(self::shared(), 3000);
        $redis->set('rare:1', 'x');
        $before = self::shared()->calls('scan');
        self::assertSame(['rare:1'], self::values(new Keyspace($redis, 'rare:*', 10)));
        $pages = self::shared()->calls('scan') - $before;
        self::assertGreaterThan(200, $pages, 'pages of some 10 keys, most of them empty');
        self::assertSame(['rare:1'], self::values(new Keyspace($redis, count: '3000', match: 'rare:*')));
        self::assertLessThan(20, self::shared()->calls('scan') - $before - $pages);
        $redis->hset('h', ['a1' => '1', 'b1' => '2']);
        self::assertSame(['1'], self::values(new HashKey($redis, 'h', 'a*', 5)));
    }

    public function test_it_begins_when_it_is_first_asked_and_anew_when_it_is_rewound(): void
    {
        $redis = self::client();
        $redis->rpush('l', ['a', 'b', 'c']);
        $before = self::shared()->calls('lrange');
        $list = new ListKey($redis, 'l', 2);
        self::assertSame($before, self::shared()->calls('lrange'), 'nothing is sent by the constructor');
        self::assertSame(['a', 0], [$list->current(), $list->key()]);
        $list->next();
        $list->next();
        self::assertSame(['c', 2, true], [$list->current(), $list->key(), $list->valid()]);
        $list->next();
        self::assertSame([null, null, false], [$list->current(), $list->key(), $list->valid()]);
        $list->next();
        self::assertFalse($list->valid());
        self::assertSame(['a', 'b', 'c'], iterator_to_array($list));
        $fresh = new ListKey($redis, 'l');
        $fresh->next();
        self::assertSame('a', $fresh->current(), 'as in Predis');
    }

    public function test_a_hundred_thousand_elements_take_the_memory_of_one_page(): void
    {
        $redis = self::client();
        self::fill(self::shared(), 100000);
        $before = memory_get_usage();
        $most = $count = 0;
        foreach (new Keyspace($redis, null, 1000) as $key) {
            $count++;
            if ($count % 500 === 0) {
                $most = max($most, memory_get_usage() - $before);
            }
        }
        self::assertSame(100000, $count);
        self::assertLessThan(512 * 1024, $most, 'bytes of memory, at the most');
    }

    public function test_it_goes_on_with_the_same_elements_after_an_exception_in_the_loop(): void
    {
        $redis = self::client();
        $redis->rpush('l', range(1, 30));
        $list = new ListKey($redis, 'l');
        $thrown = self::thrown(\DomainException::class, static function () use ($list): void {
            foreach ($list as $place => $_) {
                if ($place === 13) {
                    throw new \DomainException('of the loop');
                }
            }
        });
        self::assertSame('of the loop', $thrown->getMessage());
        self::assertSame('14', $list->current());
        self::assertCount(30, iterator_to_array($list));
    }

    public function test_an_error_of_the_server_is_thrown_where_the_page_is_fetched_and_the_next_step_asks_again(): void
    {
        $redis = self::client();
        $redis->set('k', 'x');
        $set = new SetKey($redis, 'k');
        $error = self::thrown(ServerException::class, static fn () => iterator_to_array($set));
        self::assertSame('WRONGTYPE', $error->getErrorType());
        $redis->del('k');
        $redis->sadd('k', ['m']);
        $set->next();
        self::assertSame('m', $set->current());
    }

    public function test_it_keeps_its_client_and_the_collector_finds_their_cycles(): void
    {
        $redis = self::client();
        $redis->rpush('l', range(1, 30));
        $list = new ListKey($redis, 'l');
        unset($redis);
        self::assertCount(30, iterator_to_array($list));
        gc_collect_cycles();
        $client = self::client();
        $witness = \WeakReference::create($client);
        $list = new ListKey($client, 'l');
        $list->valid();
        $client->onEvent(static function () use ($list): void {
        });
        unset($client, $list);
        self::assertNotNull($witness->get());
        gc_collect_cycles();
        self::assertNull($witness->get(), 'client, listener and iterator hold each other, and nobody else does');
    }

    public function test_the_methods_of_a_subclass_are_called(): void
    {
        $redis = new class(self::shared()->endpoint()) extends ResilientRedis {
            public array $asked = [];

            public function sscan(...$arguments): mixed
            {
                $this->asked[] = $arguments;

                return count($this->asked) === 1 ? ['18446744073709551615', ['a']] : [0, ['b']];
            }
        };
        self::assertSame(['a', 'b'], self::values(new SetKey($redis, 'k', null, 7)));
        self::assertSame([['k', '0', ['COUNT' => 7]], ['k', '18446744073709551615', ['COUNT' => 7]]], $redis->asked);
    }

    public function test_what_is_no_page_is_said(): void
    {
        $redis = self::client();
        $redis->multi();
        $error = self::thrown(ClientException::class, static fn () => iterator_to_array(new Keyspace($redis)));
        self::assertStringContainsString('SCAN gave no page', $error->getMessage());
    }

    public function test_wrong_arguments_are_refused(): void
    {
        $redis = self::client();
        $wrong = [
            'the first argument is a ResilientRedis' => static fn () => new Keyspace(new \stdClass()),
            'not an array' => static fn () => new HashKey($redis, ['k']),
            'not null' => static fn () => new HashKey($redis, null),
            'count is an integer from 1 on' => static fn () => new ListKey($redis, 'k', 0),
            'match is a pattern' => static fn () => new Keyspace($redis, 5),
            'constructed already' => static function () use ($redis): void {
                (new Keyspace($redis))->__construct($redis);
            },
            'must call parent::__construct()' => static fn () => (new class extends Keyspace {
                public function __construct()
                {
                }
            })->valid(),
        ];
        foreach ($wrong as $text => $action) {
            $error = self::thrown(ClientException::class, $action);
            self::assertStringContainsString($text, $error->getMessage());
        }
    }

    public function test_a_failover_in_the_middle_loses_no_element(): void
    {
        $set = $this->replicaSet(1);
        $redis = new ResilientRedis($set->endpoints());
        self::fill($set->primary(), 2000);
        self::assertSame(1, $set->primary()->command('WAIT', 1, 5000));
        $seen = [];
        foreach (new Keyspace($redis, null, 50) as $key) {
            $seen[] = $key;
            if (count($seen) === 1000) {
                $set->primary()->kill();
                $set->promote($set->replica(), $set->primary());
            }
        }
        self::assertCount(2000, array_unique($seen), 'different keys of ' . count($seen));
        self::assertGreaterThan(2000, count($seen), 'the other server has another order: from the start');
    }

    public function test_a_server_that_was_started_again_in_the_middle_loses_no_element(): void
    {
        $server = $this->server();
        $redis = new ResilientRedis($server->endpoint());
        self::fill($server, 2000);
        $seen = [];
        foreach (new Keyspace($redis, null, 50) as $key) {
            $seen[] = $key;
            if (count($seen) === 1000) {
                $server->kill();
                $server->restart();
                self::fill($server, 2000);
            }
        }
        self::assertCount(2000, array_unique($seen), 'different keys of ' . count($seen));
    }

    public function test_no_element_is_lost_where_replicas_are_read_from(): void
    {
        $set = $this->replicaSet(2);
        $redis = new ResilientRedis($set->endpoints(), ['read_from' => 'replica']);
        self::fill($set->primary(), 2000);
        self::assertSame(2, $set->primary()->command('WAIT', 2, 5000));
        self::assertCount(2000, self::values(new Keyspace($redis, null, 20)));
    }

    private static function fill(RedisServer $server, int $keys): void
    {
        foreach (array_chunk(range(1, $keys), 5000) as $numbers) {
            $server->command('MSET', ...array_merge(...array_map(static fn (int $number): array => ["key:$number", 'v'], $numbers)));
        }
    }

    /** @return list<mixed> */
    private static function values(\Iterator $iterator): array
    {
        $values = iterator_to_array($iterator, false);
        sort($values, SORT_STRING);

        return $values;
    }

    /** @return list<array{mixed, mixed}> */
    private static function sorted(\Iterator $iterator): array
    {
        $pairs = [];
        foreach ($iterator as $key => $value) {
            $pairs[] = [$key, $value];
        }
        usort($pairs, static fn (array $one, array $other): int => $one[1] <=> $other[1]);

        return $pairs;
    }
}
