<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis\ClientException;
use ResilientRedis\ServerException;
use Tests\Support\RedisTestCase;

/** One call after the other on the same data, with the replies that Predis gives, or that its users mean where it fails. */
final class PredisShapesTest extends RedisTestCase
{
    private const GIVEN = [
        ['set', 's', 'v'],
        ['set', 'n', '5'],
        ['mset', ['k1' => 'ohmytext', 'k2' => 'mynewtext']],
        ['rpush', 'l', ['a', 'b', 'c']],
        ['hset', 'h', ['a' => 1, 'b' => 2]],
        ['hset', 'h1', ['a' => 1]],
        ['sadd', 'st', ['p']],
        ['zadd', 'z', ['x' => 1, 'y' => 2.5]],
        ['zadd', 'z2', ['x' => 1]],
        ['geoadd', 'g', 13.361389, 38.115556, 'Pal'],
        ['xadd', 'x', ['f' => 'v', 'g' => 'w'], '1-1'],
        ['xadd', 'x', ['f' => 'v2'], '2-1'],
        ['geoadd', 'gl', [[13.361389, 38.115556, 'Pal'], [15.087269, 37.502669, 'Cat']]],
        ['xgroup', 'CREATE', 'x', 'gr', '0'],
        ['xgroup', 'CREATE', 'made', 'gr', '0', true],
    ];

    public function test_every_call_gives_what_predis_gives_under_resp2(): void
    {
        $this->calls(2);
    }

    public function test_every_call_gives_what_predis_gives_under_resp3(): void
    {
        $this->calls(3);
    }

    private function calls(int $protocol): void
    {
        $redis = new \ResilientRedis($this->server()->endpoint(), ['protocol' => $protocol]);
        foreach (self::GIVEN as $call) {
            $redis->{$call[0]}(...array_slice($call, 1));
        }
        foreach (self::rows() as $number => $row) {
            [$call, $expected] = [$row[0], $protocol === 3 && array_key_exists(2, $row) ? $row[2] : $row[1]];
            $told = "row $number under RESP$protocol: " . self::seen($call);
            try {
                $seen = $redis->{$call[0]}(...array_slice($call, 1));
            } catch (\ResilientRedis\Exception $exception) {
                $seen = $exception;
            }
            if ($expected instanceof \Closure) {
                self::assertTrue($expected($seen), "$told gave " . ($seen instanceof \Throwable ? $seen::class . ': ' . $seen->getMessage() : self::seen($seen)));
            } else {
                self::assertSame($expected, $seen, $told);
            }
        }
    }

    /** @return list<array{0: list<mixed>, 1: mixed, 2?: mixed}> a call, its reply under RESP2, and under RESP3 where that is another */
    private static function rows(): array
    {
        $number = static fn (mixed $seen): bool => is_int($seen);
        $text = static fn (mixed $seen): bool => is_string($seen);
        $refused = static fn (string $words): \Closure => static fn (mixed $seen): bool => $seen instanceof ServerException && str_starts_with($seen->getMessage(), $words);
        $misuse = static fn (mixed $seen): bool => $seen instanceof ClientException;
        $begins = static fn (array $start): \Closure => static fn (mixed $seen): bool => is_array($seen) && array_slice($seen, 0, count($start), true) === $start;
        $has = static fn (string ...$keys): \Closure => static fn (mixed $seen): bool => is_array($seen) && array_diff($keys, array_keys($seen)) === [];
        $from = ['FROMMEMBER', 'Pal'];
        $by = ['BYRADIUS', 200, 'km'];
        $place = [13.361389338970184, 38.1155563954963];
        // Redis 8 says the shortest digits that mean the number, as RESP3 does.
        $placed = self::shared()->since('8.0') ? ['13.361389338970184', '38.1155563954963'] : ['13.36138933897018433', '38.11555639549629859'];
        // Later versions list a flag that every user has, and count the keys with fields that end.
        $flags = ['on', 'nopass', ...(self::shared()->since('7.2') ? ['sanitize-payload'] : [])];
        $fields = ['keys', 'expires', 'avg_ttl', ...(self::shared()->since('7.4') ? ['subexpiry'] : [])];
        $entry = ['f' => 'v', 'g' => 'w'];
        $flat = ['f', 'v', 'g', 'w'];

        return [
            [['set', 's', 'v'], 'OK'],
            [['set', 's', 'v2', 'NX'], null],
            [['get', 'nokey'], null],
            [['ping'], 'PONG'],
            [['ping', 'm'], 'm'],
            [['type', 's'], 'string'],
            [['type', 'nokey'], 'none'],
            [['rename', 's', 's'], 'OK'],
            [['expire', 's', 100], 1],
            [['exists', 's'], 1],
            [['ttl', 'nokey'], -2],
            [['setnx', 's', 'q'], 0],
            [['msetnx', ['s' => 1]], 0],
            [['persist', 's'], 1],
            [['incrbyfloat', 'n', 0.5], '5.5'],
            [['mget', ['s', 'nokey']], ['v', null]],
            [['getex', 's', 'ex', 10], 'v'],
            [['randomkey'], $text],
            [['time'], static fn (mixed $seen): bool => is_array($seen) && count($seen) === 2 && is_string($seen[0]) && is_string($seen[1])],
            [['lcs', 'k1', 'k2'], 'mytext'],
            [['lcs', 'k1', 'k2', false, true], ['matches' => [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], 'len' => 6]],
            [['getdel', 'nokey'], null],
            [['object', 'encoding', 's'], 'embstr'],
            [['sort', 'l', ['ALPHA' => true, 'LIMIT' => [0, 2]]], ['a', 'b']],
            [['hgetall', 'h'], ['a' => '1', 'b' => '2']],
            [['hgetall', 'nokey'], []],
            [['hmset', 'h', ['a' => '1']], 'OK'],
            [['hset', 'h', 'a', '1'], 0],
            [['hmget', 'h', ['a', 'q']], ['1', null]],
            [['hkeys', 'h'], ['a', 'b']],
            [['hrandfield', 'h1', 2, true], ['a', '1'], [['a', '1']]],
            [['hrandfield', 'h1'], 'a'],
            [['hscan', 'h', 0], ['0', ['a' => '1', 'b' => '2']]],
            [['hexists', 'h', 'a'], 1],
            [['hincrbyfloat', 'h', 'a', 0.5], '1.5'],
            [['lpop', 'l'], 'a'],
            [['lpop', 'nokey'], null],
            [['lrange', 'l', 0, -1], ['b', 'c']],
            [['blpop', ['l'], 1], ['l', 'b']],
            [['blpop', ['nokey'], 0.01], null],
            [['lpos', 'l', 'c'], 0],
            [['lmpop', ['l'], 'left', 1], ['l' => ['c']]],
            [['lmpop', ['nokey']], null],
            [['blmpop', 0.01, ['nokey']], null],
            [['lmove', 'l', 'l2', 'LEFT', 'RIGHT'], null],
            [['smembers', 'st'], ['p']],
            [['sismember', 'st', 'p'], 1],
            [['smismember', 'st', 'p', 'q'], [1, 0]],
            [['spop', 'st'], 'p'],
            [['sscan', 'st', 0], ['0', []]],
            [['sinter', ['st', 'st']], []],
            [['sintercard', ['st']], 0],
            [['srandmember', 'nokey'], null],
            [['zadd', 'z', ['x' => 1]], 0],
            [['zscore', 'z', 'y'], '2.5', 2.5],
            [['zscore', 'z', 'no'], null],
            [['zmscore', 'z', 'x', 'no'], ['1', null], [1.0, null]],
            [['zincrby', 'z', 1, 'x'], '2', 2.0],
            [['zrange', 'z', 0, -1], ['x', 'y']],
            [['zrange', 'z', 0, -1, 'WITHSCORES'], ['x' => '2', 'y' => '2.5'], [['x' => 2.0], ['y' => 2.5]]],
            [['zrange', 'z', 0, -1, ['withscores' => true]], ['x' => '2', 'y' => '2.5'], [['x' => 2.0], ['y' => 2.5]]],
            [['zrevrange', 'z', 0, -1, ['withscores' => true]], ['y' => '2.5', 'x' => '2'], [['y' => 2.5], ['x' => 2.0]]],
            [['zrangebyscore', 'z', '-inf', '+inf', ['withscores' => true, 'limit' => [0, 1]]], ['x' => '2'], [['x' => 2.0]]],
            [['zrangebylex', 'z', '-', '+'], ['x', 'y']],
            [['zrandmember', 'z2', 2, true], ['x' => '1'], [['x', 1.0]]],
            [['zunion', ['z', 'z2'], [], 'sum', true], ['y' => '2.5', 'x' => '3'], [['y', 2.5], ['x', 3.0]]],
            [['zinter', ['z', 'z2'], [], 'sum', true], ['x' => '3'], [['x', 3.0]]],
            [['zdiff', ['z', 'z2'], true], ['y' => '2.5'], [['y' => 2.5]]],
            [['zscan', 'z', 0], ['0', ['x' => 2.0, 'y' => 2.5]]],
            [['zrank', 'z', 'x'], 0],
            [['zpopmin', 'z2'], ['x' => '1'], ['x' => 1.0]],
            [['zpopmin', 'nokey'], []],
            [['zpopmax', 'z', 2], ['y' => '2.5', 'x' => '2'], [['y' => 2.5], ['x' => 2.0]]],
            [['bzpopmin', ['z', 'z2'], 0.01], null],
            [['bzpopmin', ['nokey'], 0.01], null],
            [['zmpop', ['z2', 'z']], null],
            [['zmpop', ['nokey']], null],
            [['bzmpop', 0.01, ['nokey']], null],
            [['geopos', 'g', ['Pal', 'no']], [$placed, null], [$place, null]],
            [['geodist', 'g', 'Pal', 'Pal'], '0.0000'],
            [['geohash', 'g', ['Pal']], ['sqc8b49rny0']],
            [['geosearch', 'g', $from, $by], ['Pal']],
            [
                ['geosearch', 'g', $from, $by, null, -1, false, true, true, true],
                ['Pal' => ['dist' => 0.0, 'hash' => 3479099956230698, 'lng' => 13.36139, 'lat' => 38.11556]],
                [['Pal', '0.0000', 3479099956230698, $place]],
            ],
            [['georadius', 'g', 13, 38, 200, 'km', ['withcoord' => true, 'withdist' => true]], [['Pal', '34.1601', $placed]], [['Pal', '34.1601', $place]]],
            [['xadd', 'x', ['a' => 'b'], '9-1'], '9-1'],
            [['xlen', 'x'], 3],
            [['xrange', 'x', '-', '+'], ['1-1' => $entry, '2-1' => ['f' => 'v2'], '9-1' => ['a' => 'b']]],
            [['xrevrange', 'x', '+', '-'], ['9-1' => ['a' => 'b'], '2-1' => ['f' => 'v2'], '1-1' => $entry]],
            [['xread', 1, null, ['x'], '0'], ['x' => [['1-1', $flat]]]],
            [['xread', null, null, ['x'], '99-0'], [], null],
            [['xreadgroup', 'gr', 'c1', 1, null, false, 'x', '>'], [['x', [['1-1', $flat]]]], ['x' => [['1-1', $flat]]]],
            [['xpending', 'x', 'gr'], [1, '1-1', '1-1', ['c1' => 1]]],
            [['xpending', 'x', 'gr', null, '-', '+', 10], static fn (mixed $seen): bool => array_slice($seen[0], 0, 2) === ['1-1', 'c1'] && $seen[0][3] === 1],
            [['xclaim', 'x', 'gr', 'c2', 0, '1-1'], ['1-1' => $entry]],
            [['xclaim', 'x', 'gr', 'c2', 0, '1-1', null, null, null, false, true], ['1-1']],
            [['xautoclaim', 'x', 'gr', 'c2', 0, '0'], ['0-0', [['1-1', $flat]], []]],
            [['xinfo', 'STREAM', 'x'], $begins(['length' => 3, 'radix-tree-keys' => 1, 'radix-tree-nodes' => 2, 'last-generated-id' => '9-1'])],
            [['xinfo', 'GROUPS', 'x'], static fn (mixed $seen): bool => array_slice($seen[0], 0, 4) === ['name' => 'gr', 'consumers' => 2, 'pending' => 1, 'last-delivered-id' => '1-1']],
            [['xack', 'x', 'gr', '1-1'], 1],
            [['xdel', 'x', '2-1'], 1],
            [['scan', 0, ['MATCH' => 's', 'COUNT' => 1000]], ['0', ['s']]],
            [['keys', 's*'], ['s']],
            [['eval', 'return {1,"a",false,{ok="fine"}}', 0], [1, 'a', null, 'fine']],
            [['eval', 'return {3.99}', 0], [3]],
            [['eval', 'return redis.status_reply("X")', 0], 'X'],
            [['evalsha', str_repeat('f', 40), 0], $refused('NOSCRIPT')],
            [['script', 'LOAD', 'return 1'], 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db'],
            [['script', 'EXISTS', 'ff'], [0]],
            [['function', 'LOAD', "#!lua name=lib\nredis.register_function('f', function() return 1 end)"], 'lib'],
            [
                ['function', 'LIST'],
                static fn (mixed $seen): bool => array_slice($seen[0], 0, 4) === ['library_name', 'lib', 'engine', 'LUA'],
                [['library_name' => 'lib', 'engine' => 'LUA', 'functions' => [['name' => 'f', 'description' => null, 'flags' => []]]]],
            ],
            [['fcall', 'f', []], 1],
            [
                ['function', 'STATS'],
                ['running_script', null, 'engines', ['LUA', ['libraries_count', 1, 'functions_count', 1]]],
                ['running_script' => null, 'engines' => ['LUA' => ['libraries_count' => 1, 'functions_count' => 1]]],
            ],
            [['info', 'server'], static fn (mixed $seen): bool => is_string($seen['Server']['redis_version'])],
            [['info', 'keyspace'], static fn (mixed $seen): bool => array_keys($seen['Keyspace']['db0']) === $fields && is_string($seen['Keyspace']['db0']['keys'])],
            [['config', 'GET', 'save'], ['save' => '']],
            [['config', 'SET', 'maxmemory-samples', '5'], 'OK'],
            [['client', 'LIST'], static fn (mixed $seen): bool => array_slice(array_keys($seen[0]), 0, 4) === ['id', 'addr', 'laddr', 'fd'] && is_string($seen[0]['id'])],
            [['client', 'GETNAME'], $text],
            [['client', 'ID'], $number],
            [['client', 'SETNAME', 'q'], 'OK'],
            [['command', 'COUNT'], $number],
            [['command', 'INFO', 'get'], static fn (mixed $seen): bool => array_slice($seen[0], 0, 4) === ['get', 2, ['readonly', 'fast'], 1]],
            [
                ['command', 'DOCS', 'get'],
                static fn (mixed $seen): bool => $seen[0] === 'get' && $seen[1][0] === 'summary',
                static fn (mixed $seen): bool => array_slice(array_keys($seen['get']), 0, 4) === ['summary', 'since', 'group', 'complexity'],
            ],
            [['slowlog', 'GET', 1], static fn (mixed $seen): bool => is_array($seen)],
            [['acl', 'WHOAMI'], 'default'],
            [['acl', 'GETUSER', 'default'], $begins(['flags', $flags, 'passwords', []]), $begins(['flags' => $flags, 'passwords' => [], 'commands' => '+@all', 'keys' => '~*'])],
            [['pubsub', 'NUMSUB', 'a', 'b'], ['a' => 0, 'b' => 0], ['a', 0, 'b', 0]],
            [['pubsub', 'CHANNELS'], []],
            [['publish', 'c', 'm'], 0],
            [['dbsize'], $number],
            [['lastsave'], $number],
            [['bgrewriteaof'], true, 'Background append only file rewriting started'],
            [['bgsave'], static fn (mixed $seen): bool => $seen === true || $refused('ERR Another child process')($seen), static fn (mixed $seen): bool => $seen === 'Background saving started' || $refused('ERR Another child process')($seen)],
            [['memory', 'usage', 's'], $number],
            [['debug', 'x'], $refused('ERR')],
            [['role'], $begins(['master'])],
            [['hello'], $misuse],
            [['auth', 'x'], $refused('ERR AUTH <password> called without any password')],
            [['select', 0], 'OK'],
            [['echo', 'x'], 'x'],
            [['object', 'freq', 's'], $refused('ERR An LFU maxmemory policy is not selected')],
            [['wait', 0, 1], 0],
            [['dump', 'nokey'], null],
            [['getrange', 's', 0, 0], 'v'],
            [['setrange', 's', 0, 'x'], 1],
            [['bitfield', 's', 'GET', 'u8', 0], [120]],
            [['bitpos', 's', 1], 1],
            [['copy', 's', 's9'], 1],
            [['unlink', ['s9']], 1],
            [['touch', 's'], 1],
            [['pfadd', 'pf', ['a']], 1],
            [['pfcount', ['pf']], 1],
            [['flushdb'], 'OK'],
        ];
    }
}
