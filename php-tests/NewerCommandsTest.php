<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis\ServerException;
use Tests\Support\RedisTestCase;
use Tests\Support\ScriptedServer;

/** Commands that not every server of these tests has: the words that are sent, and what a scripted reply becomes. */
final class NewerCommandsTest extends RedisTestCase
{
    /** @dataProvider sent */
    public function test_the_server_gets_the_words_that_predis_would_send(array $call, string $words): void
    {
        foreach ([2, 3] as $protocol) {
            $proxy = $this->stoppedAtTheEnd(ScriptedServer::before(self::shared(), explode(' ', $words)[0], 'record'));
            $redis = new \ResilientRedis($proxy->endpoint(), ['protocol' => $protocol]);
            self::thrown(ServerException::class, static fn () => $redis->{$call[0]}(...array_slice($call, 1)));
            self::assertSame([$words], array_map(static fn (array $sent): string => implode(' ', $sent), $proxy->recorded()));
        }
    }

    /** @return iterable<string, array{list<mixed>, string}> */
    public static function sent(): iterable
    {
        $calls = [
            [['hexpire', 'h', 10, ['f', 'g'], 'NX'], 'HEXPIRE h 10 NX FIELDS 2 f g'],
            [['hgetex', 'h', ['f'], 'ex', 10], 'HGETEX h EX 10 FIELDS 1 f'],
            [['hsetex', 'h', ['f' => 1], 'fnx', 'ex', 10], 'HSETEX h FNX EX 10 FIELDS 1 f 1'],
            [['hpersist', 'h', ['f']], 'HPERSIST h FIELDS 1 f'],
            [['msetex', ['a' => 1, 'b' => 2], 'NX', 'EX', 5], 'MSETEX 2 a 1 b 2 NX EX 5'],
            [['increx', 'k', 1.0], 'INCREX k BYFLOAT 1.0'],
            [['increx', 'k', 2, null, 9, true, 'ex', 60, true], 'INCREX k BYINT 2 UBOUND 9 SATURATE EX 60 ENX'],
            [['delex', 'k', 'IFEQ', 'v'], 'DELEX k IFEQ v'],
            [['armset', 'a', [0 => 'x', 7 => 'y']], 'ARMSET a 0 x 7 y'],
            [['ardelrange', 'a', [[0, 1], [5, 6]]], 'ARDELRANGE a 0 1 5 6'],
            [['argrep', 'a', 0, 9, [['MATCH', 'x']], 'and', 5, true], 'ARGREP a 0 9 MATCH x AND LIMIT 5 WITHVALUES'],
            [['vadd', 'v', [1, 0.5], 'e', null, false, null, null, ['year' => 1950, 'tags' => ['a/b', 'é']]], 'VADD v VALUES 2 1 0.5 e SETATTR {"year":1950,"tags":["a\/b","\u00e9"]}'],
            [['vsetattr', 'v', 'e', ['a' => ['b' => null]]], 'VSETATTR v e {"a":{"b":null}}'],
            [['vsim', 'v', 'e', true, true, 3], 'VSIM v ELE e WITHSCORES COUNT 3'],
            [['xnack', 'x', 'g', 'silent', ['1-1', '2-1']], 'XNACK x g SILENT IDS 2 1-1 2-1'],
            [['xackdel', 'x', 'g', 'DELREF', 'IDS', 1, ['1-1']], 'XACKDEL x g DELREF IDS 1 1-1'],
            [['sunioncard', ['a', 'b'], true, 5], 'SUNIONCARD 2 a b APPROX LIMIT 5'],
            [['hotkeys', 'START', ['CPU'], 10], 'HOTKEYS START METRICS 1 CPU COUNT 10'],
            [['lmovem', 'a', 'b', 'LEFT', 'RIGHT', 'COUNT', 2, 'OBO'], 'LMOVEM a b LEFT RIGHT COUNT 2 OBO'],
            [['waitaof', 1, 0, 100], 'WAITAOF 1 0 100'],
            [['sentinel', 'masters'], 'SENTINEL masters'],
            [['bfadd', 'b', 'i'], 'BF.ADD b i'],
            [['jsonset', 'j', '$', '{"a":1}', 'NX'], 'JSON.SET j $ {"a":1} NX'],
            [['jsonmget', ['j', 'k'], '$'], 'JSON.MGET j k $'],
            [['ft_list'], 'FT._LIST'],
            [['tdigesttrimmed_mean', 't', 0.1, 0.9], 'TDIGEST.TRIMMED_MEAN t 0.1 0.9'],
        ];
        foreach ($calls as $call) {
            yield $call[1] => $call;
        }
    }

    public function test_streams_are_read_by_both_orders_of_arguments(): void
    {
        foreach ([2, 3] as $protocol) {
            $redis = self::client(['protocol' => $protocol]);
            $redis->flushall();
            $redis->xadd('x', ['f' => 'v'], '1-1');
            self::assertSame(['x' => [['1-1', ['f', 'v']]]], $redis->xread_v4(['x' => '0'], 1));
            self::assertSame($protocol === 2 ? [] : null, $redis->xread_v4(['x' => '9-0']));
            $redis->xgroup('CREATE', 'x', 'g', '0');
            $entries = [['1-1', ['f', 'v']]];
            self::assertSame($protocol === 2 ? [['x', $entries]] : ['x' => $entries], $redis->xreadgroup_claim('g', 'c', ['x' => '>'], 1));
        }
    }

    /** @dataProvider shaped */
    public function test_a_reply_becomes_what_predis_makes_of_it(array $call, string $bytes, mixed $two, mixed $three = null): void
    {
        $expected = [2 => $two, 3 => func_num_args() > 3 ? $three : $two];
        foreach ($expected as $protocol => $value) {
            foreach (['alone', 'in a pipeline'] as $where) {
                $proxy = $this->stoppedAtTheEnd(ScriptedServer::saying(self::shared(), preg_replace('/^bf/', 'bf.', $call[0]), $bytes));
                $redis = new \ResilientRedis($proxy->endpoint(), ['protocol' => $protocol]);
                $seen = $where === 'alone'
                    ? $redis->{$call[0]}(...array_slice($call, 1))
                    : $redis->pipeline()->ping()->{$call[0]}(...array_slice($call, 1))->execute()[1];
                self::assertSame($value, $seen, "RESP$protocol, $where: " . self::seen($call));
            }
        }
    }

    /** @return iterable<string, array{0: list<mixed>, 1: string, 2: mixed, 3?: mixed}> */
    public static function shaped(): iterable
    {
        $bulk = static fn (string $text): string => '$' . strlen($text) . "\r\n$text\r\n";
        $list = static fn (string ...$items): string => '*' . count($items) . "\r\n" . implode('', $items);
        $pairs = $list($bulk('a'), $bulk('0.5'), $bulk('b'), $bulk('0.25'));
        yield 'vadd' => [['vadd', 'v', [1], 'e'], ":1\r\n", true, 1];
        yield 'vrem' => [['vrem', 'v', 'e'], ":0\r\n", false, 0];
        yield 'vsetattr' => [['vsetattr', 'v', 'e', '{}'], ":1\r\n", true, 1];
        yield 'vemb' => [['vemb', 'v', 'e'], $list($bulk('0.5'), $bulk('1')), [0.5, 1.0], ['0.5', '1']];
        yield 'vemb raw' => [['vemb', 'v', 'e', true], $list("+int8\r\n", $bulk('12'), $bulk('1.5')), ['int8', '12', 1.5], ['int8', '12', '1.5']];
        yield 'vgetattr' => [['vgetattr', 'v', 'e'], $bulk('{"a":{"b":[1,2.5,null]}}'), ['a' => ['b' => [1, 2.5, null]]]];
        yield 'vgetattr as JSON' => [['vgetattr', 'v', 'e', true], $bulk('{"a":1}'), '{"a":1}'];
        yield 'vgetattr of none' => [['vgetattr', 'v', 'e'], "$-1\r\n", null];
        yield 'vgetattr of no JSON' => [['vgetattr', 'v', 'e'], $bulk('{"a"'), null];
        yield 'vinfo' => [['vinfo', 'v'], $list($bulk('quant-type'), $bulk('int8'), $bulk('size'), ":3\r\n"), ['quant-type' => 'int8', 'size' => 3]];
        yield 'arinfo' => [['arinfo', 'a'], $list($bulk('count'), ":2\r\n"), ['count' => 2]];
        yield 'vsim' => [['vsim', 'v', 'e', true, true], $pairs, ['a' => 0.5, 'b' => 0.25]];
        yield 'vsim without scores' => [['vsim', 'v', 'e', true], $list($bulk('a'), $bulk('b')), ['a', 'b']];
        yield 'vlinks' => [['vlinks', 'v', 'e', true], $list($pairs, $list($bulk('c'), $bulk('1'))), [['a' => 0.5, 'b' => 0.25], ['c' => 1.0]]];
        yield 'vlinks without scores' => [['vlinks', 'v', 'e'], $list($list($bulk('a'))), [['a']]];
        yield 'increx' => [['increx', 'k', 1], $list($bulk('1.5'), $bulk('2')), [1.5, 2], ['1.5', '2']];
        yield 'hotkeys' => [
            ['hotkeys', 'GET'],
            $list($bulk('tracking-active'), ":1\r\n", $bulk('by-cpu-time'), $list($bulk('k'), ":5\r\n")),
            ['tracking-active' => 1, 'by-cpu-time' => ['k' => 5]],
            ['tracking-active', 1, 'by-cpu-time', ['k', 5]],
        ];
        yield 'sentinel' => [['sentinel', 'masters'], $list($list($bulk('name'), $bulk('m'))), [['name' => 'm']], [['name', 'm']]];
        yield 'sentinel of others' => [['sentinel', 'master', 'm'], $list($bulk('name'), $bulk('m')), ['name', 'm']];
        yield 'hscan without values' => [['hscan', 'h', 0, ['novalues' => true]], $list($bulk('0'), $list($bulk('a'), $bulk('b'))), ['0', ['a', 'b']]];
        yield 'bgrewriteaof' => [['bgrewriteaof'], "+Background append only file rewriting scheduled\r\n", false, 'Background append only file rewriting scheduled'];
        yield 'bgsave' => [['bgsave'], "+Background saving scheduled\r\n", 'Background saving scheduled'];
        yield 'randomkey' => [['randomkey'], $bulk(''), null, ''];
        yield 'bfinfo' => [['bfinfo', 'b'], $list($bulk('Capacity'), ":9\r\n"), ['Capacity' => 9]];
        yield 'digest' => [['digest', 'k'], $bulk('ab12'), 'ab12'];
        yield 'httl' => [['httl', 'h', ['f']], $list(":-1\r\n"), [-1]];
    }
}
