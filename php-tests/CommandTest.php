<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis\ClientException;
use ResilientRedis\ServerException;
use Tests\Support\RedisTestCase;

/** What goes in as arguments, and what comes out as replies. */
final class CommandTest extends RedisTestCase
{
    public function test_strings(): void
    {
        $redis = self::client();
        self::assertSame('OK', $redis->set('k', 'v', 'EX', 60));
        self::assertSame('v', $redis->get('k'));
        self::assertNull($redis->get('nothing'));
        self::assertNull($redis->set('k', 'w', 'NX'));
        self::assertEqualsWithDelta(60, $redis->ttl('k'), 2);
        self::assertSame(3, $redis->append('k', 'xy'));
        self::assertSame(1, $redis->incr('n'));
        self::assertSame(11, $redis->incrby('n', 10));
        self::assertSame('11.5', $redis->incrbyfloat('n', 0.5));
        self::assertSame('PONG', $redis->ping());
        self::assertSame('string', $redis->type('k'));
    }

    public function test_lists_sets_and_sorted_sets(): void
    {
        $redis = self::client();
        self::assertSame(3, $redis->rpush('list', 'a', 'b', 'c'));
        self::assertSame(['a', 'b', 'c'], $redis->lrange('list', 0, -1));
        self::assertSame('a', $redis->lpop('list'));
        self::assertSame(['list', 'b'], $redis->blpop('list', 1));
        self::assertNull($redis->blpop('nothing', 0.05));
        self::assertSame(2, $redis->sadd('set', ['x', 'y']));
        self::assertSame([1, 0], $redis->smismember('set', 'x', 'q'));
        self::assertSame(2, $redis->zadd('zset', 1, 'one', 2.5, 'two'));
        self::assertSame('2.5', $redis->zscore('zset', 'two'));
        self::assertSame(['one', 'two'], $redis->zrange('zset', 0, -1));
    }

    public function test_hashes_take_and_give_associative_arrays(): void
    {
        $redis = self::client();
        self::assertSame(2, $redis->hset('h', ['a' => 1, 'b' => 'two']));
        self::assertSame(['a' => '1', 'b' => 'two'], $redis->hgetall('h'));
        self::assertSame([], $redis->hgetall('nothing'));
        self::assertSame(['1', null], $redis->hmget('h', ['a', 'q']));
        self::assertSame(1, $redis->hset('h', 'c', '3'));
        $redis->hset('numbers', ['7' => 'seven']);
        self::assertSame([7 => 'seven'], $redis->hgetall('numbers'));
    }

    public function test_mset_takes_an_associative_array(): void
    {
        $redis = self::client();
        self::assertSame('OK', $redis->mset(['a' => 1, 'b' => 2]));
        self::assertSame(['1', '2', null], $redis->mget(['a', 'b', 'c']));
        self::assertSame(['1', '2'], $redis->mget('a', 'b'));
    }

    public function test_a_list_that_was_received_is_a_list_like_any_other(): void
    {
        $redis = self::client();
        $numbers = array_map(strval(...), range(1, 100));
        $redis->rpush('numbers', $numbers);
        $list = $redis->lrange('numbers', 0, -1);
        $copy = $list;
        $list[] = '101';
        array_unshift($copy, '0');
        self::assertSame([...$numbers, '101'], $list);
        self::assertSame(['0', ...$numbers], $copy);
        unset($list[1], $list[99]);
        // What was taken away leaves holes, which are no arguments.
        self::assertSame(99, $redis->rpush('without two', $list));
        self::assertSame(array_values($list), $redis->lrange('without two', 0, -1));
    }

    public function test_a_list_argument_stands_for_its_items(): void
    {
        $redis = self::client();
        $redis->mset(['a' => 1, 'b' => 2, 'c' => 3]);
        self::assertSame(2, $redis->del(['a', 'b']));
        self::assertSame(1, $redis->del('c', 'd'));
    }

    public function test_streams_scripts_and_scans_give_nested_replies(): void
    {
        $redis = self::client();
        self::assertSame('5-1', $redis->xadd('stream', '5-1', 'field', 'value'));
        self::assertSame(1, $redis->xlen('stream'));
        self::assertSame([1, ['two', [3, null]], 'OK'], $redis->eval("return {1, {'two', {3, false}}, redis.status_reply('OK')}", 0));
        $redis->set('scanned', 1);
        self::assertEqualsCanonicalizing(['stream', 'scanned'], $redis->scan(0)[1]);
    }

    /** @dataProvider casts */
    public function test_scalars_are_sent_as_php_casts_them(mixed $value, string $stored): void
    {
        $redis = self::client();
        $redis->set('k', $value);
        self::assertSame($stored, self::shared()->command('GET', 'k'));
    }

    /** @return iterable<string, array{mixed, string}> */
    public static function casts(): iterable
    {
        yield 'true' => [true, '1'];
        yield 'false' => [false, ''];
        yield 'null' => [null, ''];
        yield 'int' => [-42, '-42'];
        yield 'largest int' => [PHP_INT_MAX, '9223372036854775807'];
        yield 'float' => [1.5, '1.5'];
        yield 'whole float' => [2.0, '2'];
        yield 'large float' => [1e25, '1.0E+25'];
        yield 'a third' => [1 / 3, (string) (1 / 3)];
        yield 'Stringable' => [new class () implements \Stringable {
            public function __toString(): string
            {
                return 'of an object';
            }
        }, 'of an object'];
        yield 'closed-over Stringable' => [(static fn (string $inner): \Stringable => new class ($inner) implements \Stringable {
            public function __construct(private string $inner)
            {
            }

            public function __toString(): string
            {
                return "of $this->inner";
            }
        })('a closure'), 'of a closure'];
    }

    public function test_a_stringable_may_use_the_client_itself(): void
    {
        $redis = self::client();
        $redis->set('inner', 'from inside');
        $value = new class ($redis) implements \Stringable {
            public function __construct(private \ResilientRedis $redis)
            {
            }

            public function __toString(): string
            {
                return $this->redis->get('inner') . $this->redis->incr('calls');
            }
        };
        self::assertSame('OK', $redis->set('outer', $value));
        self::assertSame('from inside1', $redis->get('outer'));
        self::assertSame(['from inside2', '1'], $redis->eval('return {ARGV[1], ARGV[2]}', 0, $value, 1));
    }

    public function test_an_exception_of_a_stringable_comes_out_and_nothing_is_sent(): void
    {
        $redis = self::client();
        $redis->ping();
        $before = self::shared()->calls('set');
        $value = new class () implements \Stringable {
            public function __toString(): string
            {
                throw new \DomainException('not today');
            }
        };
        self::assertSame('not today', self::thrown(\DomainException::class, static fn () => $redis->set('k', $value))->getMessage());
        self::assertSame($before, self::shared()->calls('set'));
        self::assertSame('PONG', $redis->ping());
    }

    /** @dataProvider unsendable */
    public function test_what_is_no_word_is_refused_before_anything_is_sent(array $arguments): void
    {
        $redis = self::client();
        $redis->ping();
        $before = self::shared()->counters();
        $exception = self::thrown(ClientException::class, static fn () => $redis->rpush('list', ...$arguments));
        self::assertNotSame('', $exception->getMessage());
        self::assertSame(0, self::shared()->counters()->since($before)->commands, 'commands that reached the server');
        self::assertSame(1, $redis->rpush('list', 'fine'));
    }

    /** @return iterable<string, array{list<mixed>}> */
    public static function unsendable(): iterable
    {
        yield 'an array inside a list' => [[['a', ['b']]]];
        yield 'an object' => [[new \stdClass()]];
        yield 'an object inside a list' => [[['a', new \stdClass()]]];
        yield 'a closure' => [[static fn (): string => 'x']];
        yield 'a resource' => [[STDIN]];
    }

    /** @dataProvider texts */
    public function test_every_byte_comes_back(string $value): void
    {
        $redis = self::client();
        self::assertSame('OK', $redis->set("key $value", $value));
        self::assertTrue($redis->get("key $value") === $value, sprintf('%d bytes came back changed', strlen($value)));
        self::assertSame(strlen($value), $redis->strlen("key $value"));
        if ($value !== '') {
            $redis->hset('h', [$value => $value]);
            self::assertTrue($redis->hgetall('h') === [$value => $value]);
        }
    }

    /** @return iterable<string, array{string}> */
    public static function texts(): iterable
    {
        yield 'nothing' => [''];
        yield 'line ends' => ["\r\n\r\n+OK\r\n"];
        yield 'zero bytes' => ["a\0b\0"];
        yield 'all bytes' => [implode('', array_map(chr(...), range(0, 255)))];
        yield 'no UTF-8' => ["\xff\xfe\xc3\x28"];
    }

    /** @dataProvider sizes */
    public function test_large_values_come_back_whole(int $bytes): void
    {
        $redis = self::client();
        $value = substr(str_repeat(random_bytes(1021), intdiv($bytes, 1021) + 1), 0, $bytes);
        self::assertSame('OK', $redis->set('large', $value));
        self::assertSame(sha1($value), sha1((string) $redis->get('large')));
        self::assertSame('PONG', $redis->ping());
    }

    /** @return iterable<string, array{int}> */
    public static function sizes(): iterable
    {
        foreach ([4_095, 4_096, 16_383, 16_384, 65_536, 1_048_576, 20 * 1_048_576] as $bytes) {
            yield number_format($bytes) . ' bytes' => [$bytes];
        }
    }

    public function test_long_lists_come_back_in_order(): void
    {
        $redis = self::client();
        $items = array_map(static fn (int $i): string => "item $i " . str_repeat('x', $i % 50), range(1, 10_000));
        self::assertSame(10_000, $redis->rpush('long', $items));
        self::assertSame($items, $redis->lrange('long', 0, -1));
        $fields = array_combine(array_map(static fn (int $i): string => "f$i", range(1, 10_000)), $items);
        $redis->hset('long hash', $fields);
        $read = $redis->hgetall('long hash');
        ksort($fields);
        ksort($read);
        self::assertSame($fields, $read);
    }

    public function test_an_error_reply_is_a_server_exception_with_its_type(): void
    {
        $redis = self::client();
        $redis->set('text', 'x');
        $exception = self::thrown(ServerException::class, static fn () => $redis->lpush('text', 'y'));
        self::assertSame('WRONGTYPE', $exception->getErrorType());
        self::assertStringContainsString('WRONGTYPE', $exception->getMessage());
        self::assertSame('x', $redis->get('text'));
    }

    public function test_a_command_that_the_server_does_not_know_is_its_error(): void
    {
        $redis = self::client();
        $exception = self::thrown(ServerException::class, static fn () => $redis->noSuchCommand('a', 1));
        self::assertSame('ERR', $exception->getErrorType());
        self::assertMatchesRegularExpression('/unknown command/i', $exception->getMessage());
    }

    public function test_names_outside_the_table_and_in_any_case_are_sent_too(): void
    {
        $redis = self::client();
        self::assertSame('OK', $redis->SET('k', 'v'));
        self::assertSame('v', $redis->Get('k'));
        self::assertSame('v', $redis->executeRaw(['GET', 'k']));
        self::assertSame('OK', $redis->executeRaw(['SET', 'k', 'w']));
    }

    public function test_an_error_inside_a_nested_reply_leaves_the_connection_in_step(): void
    {
        $redis = self::client();
        $redis->set('text', 'x');
        $redis->multi();
        $redis->get('text');
        $redis->lpush('text', 'y');
        $redis->get('text');
        try {
            $replies = $redis->exec();
            self::assertSame(['x', 'x'], [$replies[0], $replies[2]], self::seen($replies));
        } catch (ServerException $exception) {
            self::assertSame('WRONGTYPE', $exception->getErrorType());
        }
        self::assertSame('x', $redis->get('text'));
        self::assertSame('PONG', $redis->ping());
    }

    public function test_resp3_gives_doubles_maps_and_nulls_as_php_has_them(): void
    {
        $redis = self::client(['protocol' => 3]);
        $redis->zadd('zset', 2.5, 'm');
        self::assertSame(2.5, $redis->zscore('zset', 'm'));
        self::assertNull($redis->get('nothing'));
        self::assertNull($redis->zscore('zset', 'nobody'));
        $redis->hset('h', ['a' => 1]);
        self::assertSame(['a' => '1'], $redis->hgetall('h'));
        $redis->sadd('set', 'x');
        self::assertSame(['x'], $redis->smembers('set'));
        self::assertSame([1.5, true, false, ['k' => 'v']], $redis->eval(
            "redis.setresp(3); return {{double=1.5}, true, false, {map={k='v'}}}",
            0,
        ));
    }

    public function test_resp2_and_resp3_clients_live_side_by_side(): void
    {
        [$two, $three] = [self::client(), self::client(['protocol' => 3])];
        $two->zadd('zset', 2.5, 'm');
        for ($i = 0; $i < 3; $i++) {
            self::assertSame('2.5', $two->zscore('zset', 'm'));
            self::assertSame(2.5, $three->zscore('zset', 'm'));
        }
    }
}
