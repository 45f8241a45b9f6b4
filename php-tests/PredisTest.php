<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis\ClientException;
use Tests\Support\RedisTestCase;

/** Calls as they are written for Predis, and the replies that it gives, under both protocols. */
final class PredisTest extends RedisTestCase
{
    private const GIVEN = [
        ['zadd', 'z', ['x' => 2, 'y' => 2.5]],
        ['zadd', 'z2', ['x' => 1]],
        ['rpush', 'l', ['b', 'a', 'c']],
        ['hset', 'h', ['a' => 1, 'b' => 2]],
        ['xadd', 'x', '1-1', 'f', 'v', 'g', 'w'],
        ['xadd', 'x', '2-1', 'f', 'v2'],
        ['mset', ['k1' => 'ohmytext', 'k2' => 'mynewtext', 's' => 'v']],
        ['sadd', 'st', ['p', 'q']],
        ['geoadd', 'g', 13.361389, 38.115556, 'Pal'],
    ];

    /** @dataProvider calls */
    public function test_a_call_as_for_predis_gives_what_predis_gives(array $call, mixed $two, mixed $three = null): void
    {
        $expected = ['two' => $two, 'three' => func_num_args() > 2 ? $three : $two];
        foreach (['two' => 2, 'three' => 3] as $name => $protocol) {
            $redis = self::client(['protocol' => $protocol]);
            foreach (['alone', 'in a pipeline', 'in a transaction'] as $where) {
                self::fill();
                $seen = match ($where) {
                    'alone' => $redis->{$call[0]}(...array_slice($call, 1)),
                    'in a pipeline' => $redis->pipeline()->ping()->{$call[0]}(...array_slice($call, 1))->ping()->execute()[1],
                    'in a transaction' => $redis->transaction()->ping()->{$call[0]}(...array_slice($call, 1))->ping()->execute()[1],
                };
                self::assertSame($expected[$name], $seen, "RESP$protocol, $where: " . self::seen($call));
            }
        }
    }

    /** @return iterable<string, array{0: list<mixed>, 1: mixed, 2?: mixed}> */
    public static function calls(): iterable
    {
        $calls = [
            [['zadd', 'z', ['x' => 3, 'n' => '4']], 1],
            [['zadd', 'z', 'XX', 'CH', ['x' => 3, 'n' => 4]], 1],
            [['zadd', 'z', [7 => 1]], 1],
            [['zrange', 'z', 0, -1], ['x', 'y']],
            [['zrange', 'z', 0, -1, 'WITHSCORES'], ['x' => '2', 'y' => '2.5'], [['x' => 2.0], ['y' => 2.5]]],
            [['zrange', 'z', 0, -1, ['withscores' => true]], ['x' => '2', 'y' => '2.5'], [['x' => 2.0], ['y' => 2.5]]],
            [['zrange', 'none', 0, -1, ['withscores' => true]], []],
            [['zrange', 'z', 0, 9, ['byscore' => true, 'limit' => [1, 1]]], ['y']],
            [['zrevrange', 'z', 0, -1, ['WITHSCORES' => true]], ['y' => '2.5', 'x' => '2'], [['y' => 2.5], ['x' => 2.0]]],
            [['zrangebyscore', 'z', '-inf', '+inf', ['withscores' => true, 'limit' => [0, 1]]], ['x' => '2'], [['x' => 2.0]]],
            [['zrangebyscore', 'z', '-inf', '+inf', ['limit' => ['offset' => 1, 'count' => 5]]], ['y']],
            [['zrevrangebyscore', 'z', '+inf', '-inf', ['limit' => [0, 1], 'withscores' => false]], ['y']],
            [['zrangebylex', 'z', '-', '+', ['limit' => [1, 1]]], ['y']],
            [['zrandmember', 'z2', 1, true], ['x' => '1'], [['x', 1.0]]],
            [['zunion', ['z', 'z2'], [], 'sum', true], ['y' => '2.5', 'x' => '3'], [['y', 2.5], ['x', 3.0]]],
            [['zunion', ['z', 'z2'], [1, 10], 'max'], ['y', 'x']],
            [['zinter', ['z', 'z2'], [], 'sum', true], ['x' => '3'], [['x', 3.0]]],
            [['zdiff', ['z', 'z2'], true], ['y' => '2.5'], [['y' => 2.5]]],
            [['zdiff', ['z', 'z2']], ['y']],
            [['zunionstore', 'd', ['z', 'z2'], [1, 2], 'max'], 2],
            [['zinterstore', 'd', ['z', 'z2'], ['weights' => [1, 2], 'aggregate' => 'min']], 1],
            [['zdiffstore', 'd', ['z', 'z2']], 1],
            [['zintercard', ['z', 'z2']], 1],
            [['sintercard', ['st', 'st'], 1], 1],
            [['zscan', 'z', 0, ['match' => '*', 'count' => 9]], ['0', ['x' => 2.0, 'y' => 2.5]]],
            [['zpopmin', 'z2'], ['x' => '1'], ['x' => 1.0]],
            [['zpopmin', 'none'], []],
            [['zpopmax', 'z', 2], ['y' => '2.5', 'x' => '2'], [['y' => 2.5], ['x' => 2.0]]],
            [['bzpopmin', ['none', 'z'], 1], ['z' => ['x' => '2']], ['z' => ['x' => 2.0]]],
            [['zmpop', ['none', 'z'], 'max', 2], ['z' => ['y' => '2.5', 'x' => '2']], ['z' => ['y' => 2.5, 'x' => 2.0]]],
            [['zmpop', ['none']], null],
            [['bzmpop', 0.01, ['z2']], ['z2' => ['x' => '1']], ['z2' => ['x' => 1.0]]],
            [['lmpop', ['none', 'l'], 'right', 2], ['l' => ['c', 'a']]],
            [['lmpop', ['l']], ['l' => ['b']]],
            [['lmpop', ['none']], null],
            [['blmpop', 0.01, ['l'], 'left', 1], ['l' => ['b']]],
            [['sort', 'l', ['ALPHA' => true, 'LIMIT' => [0, 2], 'SORT' => 'DESC']], ['c', 'b']],
            [['sort', 'l', ['by' => 'nosort', 'get' => ['#', 'none_*'], 'limit' => [0, 1]]], ['b', null]],
            [['scan', 0, ['MATCH' => 's', 'COUNT' => 1000]], ['0', ['s']]],
            [['scan', 0, ['match' => '*', 'count' => 1000, 'type' => 'hash']], ['0', ['h']]],
            [['hscan', 'h', 0, ['match' => 'a*']], ['0', ['a' => '1']]],
            [['hscan', 'none', 0], ['0', []]],
            [['sscan', 'st', 0, ['match' => 'q', 'count' => 50]], ['0', ['q']]],
            [['hrandfield', 'none', 2, true], []],
            [['set', 's', 'w', 'EX', 60, null, false], 'OK'],
            [['set', 's', 'w', ['EX' => 60, 'NX']], null],
            [['set', 's', 'w', ['get' => true, 'px' => 60_000]], 'v'],
            [['getex', 's', 'EX', 10], 'v'],
            [['getex', 's', ['px' => 10_000]], 'v'],
            [['lpos', 'l', 'a', ['rank' => -1]], 1],
            [['copy', 's', 's9', -1, true], 1],
            [['lcs', 'k1', 'k2'], 'mytext'],
            [['lcs', 'k1', 'k2', true], 6],
            [['lcs', 'k1', 'k2', false, true], ['matches' => [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], 'len' => 6]],
            [['georadius', 'g', 13, 38, 200, 'km', ['withdist' => true, 'count' => 1, 'sort' => 'asc']], [['Pal', '34.1601']]],
            [['georadiusbymember', 'g', 'Pal', 200, 'km', ['withhash' => true]], [['Pal', 3479099956230698]]],
            [['xrange', 'x', '-', '+'], ['1-1' => ['f' => 'v', 'g' => 'w'], '2-1' => ['f' => 'v2']]],
            [['xrange', 'x', '-', '+', 1], ['1-1' => ['f' => 'v', 'g' => 'w']]],
            [['xrange', 'none', '-', '+'], []],
            [['xrevrange', 'x', '+', '-', 1], ['2-1' => ['f' => 'v2']]],
            [['xread', 'COUNT', 1, 'STREAMS', 'x', '0'], ['x' => [['1-1', ['f', 'v', 'g', 'w']]]]],
            [['xread', 'STREAMS', 'x', '9-1'], [], null],
            [['xread', 1, null, ['x'], '0'], ['x' => [['1-1', ['f', 'v', 'g', 'w']]]]],
            [['xread', null, null, ['x'], '99-0'], [], null],
            [['xadd', 'x', ['a' => 'b'], '9-1'], '9-1'],
            [['xadd', 'x', ['a' => 'b', 'c' => 1], '9-1', ['trim' => ['MAXLEN', '=', 1], 'nomkstream' => true]], '9-1'],
            [['xadd', 'none', ['a' => 'b'], '*', ['nomkstream' => true]], null],
            [['xtrim', 'x', ['MAXLEN', '~'], 1, ['limit' => 1]], 0],
            [['xtrim', 'x', 'MAXLEN', 1], 1],
            [['bitfield_ro', 's', ['u8' => 0]], [118]],
            [
                ['geosearch', 'g', ['FROMMEMBER', 'Pal'], ['BYRADIUS', 200, 'km'], null, -1, false, true, true, true],
                ['Pal' => ['dist' => 0.0, 'hash' => 3479099956230698, 'lng' => 13.36139, 'lat' => 38.11556]],
                [['Pal', '0.0000', 3479099956230698, [13.361389338970184, 38.1155563954963]]],
            ],
            [['geosearch', 'none', ['FROMLONLAT', 1, 1], ['BYRADIUS', 200, 'km'], null, -1, false, true], []],
            [['pubsub', 'NUMSUB', 'a', 'b'], ['a' => 0, 'b' => 0], ['a', 0, 'b', 0]],
        ];
        foreach ($calls as $number => $call) {
            yield "$number: " . json_encode($call[0]) => $call;
        }
    }

    public function test_entries_of_another_consumer_are_claimed_by_id(): void
    {
        foreach ([2, 3] as $protocol) {
            self::fill();
            $redis = self::client(['protocol' => $protocol]);
            $redis->xgroup('CREATE', 'x', 'gr', '0');
            $entries = [['1-1', ['f', 'v', 'g', 'w']], ['2-1', ['f', 'v2']]];
            $read = $redis->xreadgroup('gr', 'c1', 2, null, false, 'x', '>');
            self::assertSame($protocol === 2 ? [['x', $entries]] : ['x' => $entries], $read);
            self::assertNull($redis->xreadgroup('GROUP', 'gr', 'c1', 'COUNT', 2, 'STREAMS', 'x', '>'));
            self::assertSame([2, '1-1', '2-1', ['c1' => 2]], $redis->xpending('x', 'gr'));
            $group = $redis->xinfo('GROUPS', 'x')[0];
            self::assertSame(['gr', 1, 2], [$group['name'], $group['consumers'], $group['pending']]);
            self::assertSame('c1', $redis->xinfo('CONSUMERS', 'x', 'gr')[0]['name']);
            self::assertSame(2, $redis->xinfo('STREAM', 'x')['length']);
            self::assertSame(['1-1', 'c1'], array_slice($redis->xpending('x', 'gr', null, '-', '+', 10)[0], 0, 2));
            self::assertSame([], $redis->xpending('x', 'gr', 60_000, '-', '+', 10));
            self::assertSame(['1-1' => ['f' => 'v', 'g' => 'w']], $redis->xclaim('x', 'gr', 'c2', 0, '1-1'));
            self::assertSame(['1-1'], $redis->xclaim('x', 'gr', 'c2', 0, '1-1', 'JUSTID'));
            self::assertSame(['1-1', '2-1'], $redis->xclaim('x', 'gr', 'c2', 0, ['1-1', '2-1'], 5, null, 3, false, true));
            self::assertSame(['0-0', ['1-1', '2-1'], []], $redis->xautoclaim('x', 'gr', 'c3', 0, '0', 9, true));
        }
    }

    public function test_a_stream_is_told_of_in_full_with_entries_by_id_and_groups_by_name(): void
    {
        foreach ([2, 3] as $protocol) {
            self::fill();
            $redis = self::client(['protocol' => $protocol]);
            $redis->xgroup('CREATE', 'x', 'gr', '0');
            $redis->xreadgroup('gr', 'c1', 1, null, false, 'x', '>');
            $full = $redis->xinfo('STREAM', 'x', 'FULL');
            self::assertSame([['1-1' => ['f' => 'v', 'g' => 'w']], ['2-1' => ['f' => 'v2']]], $full['entries'], "RESP$protocol");
            self::assertSame('gr', $full['groups'][0]['name'], "RESP$protocol");
            self::assertSame('1-1', $full['groups'][0]['pending'][0][0] ?? $full['groups'][0]['pel'][0][0]);
            self::assertSame('c1', $full['groups'][0]['consumers'][0]['name'], "RESP$protocol");
            self::assertSame(['1-1', ['f', 'v', 'g', 'w']], $redis->xinfo('STREAM', 'x')['first-entry']);
            $executed = $redis->transaction()->ping()->xinfo('STREAM', 'x', 'FULL')->execute()[1];
            self::assertSame($full['entries'], $executed['entries'], "RESP$protocol, in a transaction");
        }
    }

    public function test_what_the_server_begins_in_the_background_is_true_under_resp2(): void
    {
        foreach ([2 => [true, true], 3 => ['Background append only file rewriting started', 'Background saving started']] as $protocol => $expected) {
            foreach (['bgrewriteaof', 'bgsave'] as $index => $command) {
                $server = $this->server();
                $redis = new \ResilientRedis($server->endpoint(), ['protocol' => $protocol]);
                self::assertSame($expected[$index], $redis->$command(), "$command under RESP$protocol");
            }
        }
    }

    public function test_argument_objects_stand_for_their_arrays(): void
    {
        $argument = static fn (mixed $array): object => new class ($array) {
            public function __construct(private mixed $array)
            {
            }

            public function toArray(): mixed
            {
                return $this->array instanceof \Throwable ? throw $this->array : $this->array;
            }
        };
        $redis = self::client();
        self::fill();
        $by = $argument(['BYRADIUS', 200, 'km']);
        self::assertSame(['Pal'], $redis->geosearch('g', $argument(['FROMMEMBER', 'Pal']), $by));
        self::assertSame(['Pal'], $redis->geosearch('g', $argument(['FROMLONLAT', 13.0, 38]), $by, 'asc', 1, true));
        self::assertSame(['Pal' => ['dist' => 0.0]], $redis->geosearch('g', $argument(['FROMMEMBER', 'Pal']), $by, null, -1, false, false, true));
        self::assertSame(1, $redis->geosearchstore('d', 'g', $argument(['FROMMEMBER', 'Pal']), $by, null, -1, false, true));
        self::assertSame('0', $redis->zscore('d', 'Pal'));
        self::assertSame(['Pal'], $redis->pipeline()->geosearch('g', $argument(['FROMMEMBER', 'Pal']), $by)->execute()[0]);

        $before = self::shared()->calls('geosearch');
        $thrown = self::thrown(\DomainException::class, static fn () => $redis->geosearch('g', $argument(new \DomainException('not today')), $by));
        self::assertSame('not today', $thrown->getMessage());
        $thrown = self::thrown(ClientException::class, static fn () => $redis->geosearch('g', $argument('no array'), $by));
        self::assertStringContainsString('toArray gives no array', $thrown->getMessage());
        self::assertSame($before, self::shared()->calls('geosearch'));
    }

    public function test_texts_and_logs_about_the_server_are_arrays(): void
    {
        foreach ([2, 3] as $protocol) {
            self::fill();
            $redis = self::client(['protocol' => $protocol]);
            $info = $redis->info();
            self::assertSame(self::shared()->info('server')['redis_version'], $info['Server']['redis_version']);
            $more = self::shared()->since('7.4') ? ['subexpiry' => '0'] : [];
            self::assertSame(['keys', 'expires', 'avg_ttl', ...array_keys($more)], array_keys($info['Keyspace']['db0']));
            self::assertSame(['Keyspace' => ['db0' => ['keys' => '10', 'expires' => '0', 'avg_ttl' => '0'] + $more]], $redis->info('keyspace'));
            self::assertSame([], $redis->info('none'));
            // Long enough to be received in pieces.
            foreach (range(1, 300) as $number) {
                self::assertSame($redis->info('everything')['Server']['run_id'], $info['Server']['run_id'], "call $number");
            }
            $replies = $redis->pipeline(['atomic' => true])->ping()->info('keyspace')->ping()->execute();
            self::assertSame('10', $replies[1]['Keyspace']['db0']['keys']);
            $clients = $redis->client('LIST');
            self::assertContains((string) $redis->client('ID'), array_column($clients, 'id'));
            self::assertSame(['id', 'addr', 'laddr', 'fd', 'name'], array_slice(array_keys($clients[0]), 0, 5));

            $redis->config('SET', 'slowlog-log-slower-than', '0');
            $redis->echo('slow');
            $redis->config('SET', 'slowlog-log-slower-than', '10000');
            $entries = $redis->slowlog('GET', 5);
            self::assertSame(['id', 'timestamp', 'duration', 'command'], array_keys($entries[0]));
            self::assertContains(['ECHO', 'slow'], array_column($entries, 'command'));
            self::assertIsString($redis->executeRaw(['INFO', 'server']));
        }
    }

    public function test_a_raw_command_is_sent_as_it_stands(): void
    {
        $redis = self::client();
        self::fill();
        self::assertSame(['x', '2'], $redis->executeRaw(['ZRANGE', 'z', 0, 0, 'WITHSCORES']));
    }

    /** @dataProvider wrong */
    public function test_a_wrong_shape_is_said_before_anything_is_sent(array $call, string $text): void
    {
        $redis = self::client();
        $redis->ping();
        $before = self::shared()->counters();
        $exception = self::thrown(ClientException::class, static fn () => $redis->{$call[0]}(...array_slice($call, 1)));
        self::assertStringContainsString($text, $exception->getMessage());
        self::assertStringContainsString(strtoupper($call[0]), $exception->getMessage());
        self::assertSame(0, self::shared()->counters()->since($before)->commands, 'commands that reached the server');
    }

    /** @return iterable<string, array{list<mixed>, string}> */
    public static function wrong(): iterable
    {
        yield 'an unknown option' => [['zrange', 'z', 0, -1, ['withscore' => true]], "option 'withscore' is unknown"];
        yield 'a limit that is no pair' => [['sort', 'l', ['limit' => 5]], 'takes an offset and a count'];
        yield 'a word that is none of two' => [['lmpop', ['l'], 'up'], "'up' was given; accepted are LEFT and RIGHT"];
        yield 'options of an entry that are no array' => [['xadd', 'x', ['f' => 'v'], '*', 'MAXLEN'], 'options are an array'];
        yield 'a score that is an array' => [['zadd', 'z', ['m' => [1]]], 'inside of an array'];
        yield 'arrays too deep' => [['sort', 'l', ['get' => [['a']]]], 'too deep'];
        yield 'an associative array for a key' => [['set', ['k' => 'v']], 'an array of 1 was given'];
    }

    private static function fill(): void
    {
        self::shared()->command('FLUSHALL');
        $redis = self::client();
        foreach (self::GIVEN as $call) {
            $redis->{$call[0]}(...array_slice($call, 1));
        }
    }
}
