<?php

declare(strict_types=1);

namespace Tests\Support;

/** Calls of the commands of modules: the words that Predis would send for them, the server's bytes, and what PHP gets. */
final class ModuleCalls
{
    private const OK = "+OK\r\n";

    /** @return array<string, array{call: list<mixed>, words: list<string>, two: array{string, mixed}, three: array{string, mixed}}> */
    public static function all(): array
    {
        $all = [];
        foreach ([...self::json(), ...self::search(), ...self::series(), ...self::filters(), ...self::sketches()] as $row) {
            [$call, $words, $bytes, $value] = $row;
            $words = is_array($words) ? $words : explode(' ', $words);
            $name = "$call[0]: " . implode(' ', $words);
            if (isset($all[$name])) {
                throw new \LogicException("two rows for $name");
            }
            $all[$name] = ['call' => $call, 'words' => $words, 'two' => [$bytes, $value], 'three' => [$row[4] ?? $bytes, array_key_exists(5, $row) ? $row[5] : $value]];
        }

        return $all;
    }

    /** @return list<array<string, mixed>> what a proxy answers: the bytes, where the words are exactly these */
    public static function rules(int $protocol): array
    {
        return array_values(array_map(static fn (array $row): array => [
            'command' => $row['words'][0],
            'words' => $row['words'],
            'fault' => 'say',
            'times' => PHP_INT_MAX,
            'bytes' => $row[$protocol === 2 ? 'two' : 'three'][0],
        ], self::all()));
    }

    /** An argument object as Predis has them. */
    public static function object(string|int|float ...$words): object
    {
        return new class ($words) {
            public function __construct(private readonly array $words)
            {
            }

            public function toArray(): array
            {
                return $this->words;
            }
        };
    }

    private static function bulk(string $text): string
    {
        return '$' . strlen($text) . "\r\n$text\r\n";
    }

    private static function list(string ...$items): string
    {
        return '*' . count($items) . "\r\n" . implode('', $items);
    }

    private static function map(string ...$items): string
    {
        return '%' . intdiv(count($items), 2) . "\r\n" . implode('', $items);
    }

    private static function json(): array
    {
        $two = self::list(":1\r\n", "$-1\r\n");
        $text = self::bulk('{"a":1}');

        return [
            [['jsonarrappend', 'j', '$.a', '1', '"b"'], 'JSON.ARRAPPEND j $.a 1 "b"', $two, [1, null]],
            [['jsonarrindex', 'j', '$.a', '"b"', 0, 0], 'JSON.ARRINDEX j $.a "b" 0 0', $two, [1, null]],
            [['jsonarrindex', 'j', '$.a', '1'], 'JSON.ARRINDEX j $.a 1', $two, [1, null]],
            [['jsonarrinsert', 'j', '$.a', 0, '1', '2'], 'JSON.ARRINSERT j $.a 0 1 2', $two, [1, null]],
            [['jsonarrlen', 'j', '$.a'], 'JSON.ARRLEN j $.a', $two, [1, null]],
            [['jsonarrlen', 'j'], 'JSON.ARRLEN j', ":3\r\n", 3],
            [['jsonarrpop', 'j', '$.a', -1], 'JSON.ARRPOP j $.a -1', self::list(self::bulk('"b"'), "$-1\r\n"), ['"b"', null]],
            [['jsonarrtrim', 'j', '$.a', 0, 1], 'JSON.ARRTRIM j $.a 0 1', $two, [1, null]],
            [['jsonclear', 'j', '$.a'], 'JSON.CLEAR j $.a', ":1\r\n", 1],
            [['jsondebug', 'MEMORY', 'j', '$'], 'JSON.DEBUG MEMORY j $', ":72\r\n", 72],
            [['jsondel', 'j', '$.a'], 'JSON.DEL j $.a', ":1\r\n", 1],
            [['jsonforget', 'j', '$.a'], 'JSON.FORGET j $.a', ":0\r\n", 0],
            [['jsonget', 'j'], 'JSON.GET j', $text, '{"a":1}'],
            [['jsonget', 'j', '', '', '', '$.a', '$.b'], 'JSON.GET j $.a $.b', $text, '{"a":1}'],
            [['jsonget', 'j', "\t", "\n", ' ', '$'], ['JSON.GET', 'j', 'INDENT', "\t", 'NEWLINE', "\n", 'SPACE', ' ', '$'], $text, '{"a":1}'],
            [['jsonget', 'none'], 'JSON.GET none', "$-1\r\n", null, "_\r\n", null],
            [['jsonmerge', 'j', '$', '{"b":2}'], 'JSON.MERGE j $ {"b":2}', self::OK, 'OK'],
            [['jsonmerge', 'j', '$', ['c' => null]], 'JSON.MERGE j $ {"c":null}', self::OK, 'OK'],
            [['jsonmget', ['j', 'k'], '$.a'], 'JSON.MGET j k $.a', self::list(self::bulk('[1]'), "$-1\r\n"), ['[1]', null]],
            [['jsonmset', 'j', '$', '1', 'k', '$', '2'], 'JSON.MSET j $ 1 k $ 2', self::OK, 'OK'],
            [['jsonnumincrby', 'j', '$.a', 2], 'JSON.NUMINCRBY j $.a 2', self::bulk('[3]'), '[3]', self::list(":3\r\n"), [3]],
            [['jsonobjkeys', 'j', '$'], 'JSON.OBJKEYS j $', self::list(self::list(self::bulk('a'))), [['a']]],
            [['jsonobjlen', 'j', '$'], 'JSON.OBJLEN j $', self::list(":1\r\n"), [1]],
            [['jsonresp', 'j', '$'], 'JSON.RESP j $', self::list("+{\r\n", self::bulk('a'), ":1\r\n"), ['{', 'a', 1]],
            [['jsonset', 'j', '$', '{"a":1}'], 'JSON.SET j $ {"a":1}', self::OK, 'OK'],
            [['jsonset', 'j', '$', '1', null], 'JSON.SET j $ 1', self::OK, 'OK'],
            [['jsonset', 'j', '$', '1', 'nx'], 'JSON.SET j $ 1 NX', "$-1\r\n", null, "_\r\n", null],
            [['jsonset', 'j', '$', ['a' => [1, 'é']]], 'JSON.SET j $ {"a":[1,"\u00e9"]}', self::OK, 'OK'],
            [['jsonstrappend', 'j', '$.s', '"x"'], 'JSON.STRAPPEND j $.s "x"', $two, [1, null]],
            [['jsonstrlen', 'j', '$.s'], 'JSON.STRLEN j $.s', $two, [1, null]],
            [['jsontoggle', 'j', '$.t'], 'JSON.TOGGLE j $.t', $two, [1, null]],
            [['jsontype', 'j', '$'], 'JSON.TYPE j $', self::list(self::bulk('object')), ['object'], self::list(self::list(self::bulk('object'))), [['object']]],
        ];
    }

    private static function search(): array
    {
        $field = self::object('title', 'TEXT', 'SORTABLE');
        $found = self::list(":1\r\n", self::bulk('d:1'), self::list(self::bulk('title'), self::bulk('x')));
        $foundMap = self::map(self::bulk('total_results'), ":1\r\n", self::bulk('results'), self::list(self::map(self::bulk('id'), self::bulk('d:1'))));
        $row = self::list(":1\r\n", self::list(self::bulk('a'), self::bulk('1')));
        $hybrid = [self::bulk('total_results'), ":1\r\n", self::bulk('results')];
        $hit = [self::bulk('__key'), self::bulk('d:1'), self::bulk('more'), self::list(self::bulk('a'), self::bulk('1'))];
        $rest = [self::bulk('warnings'), self::list(), self::bulk('execution_time'), self::bulk('0.5')];

        return [
            [['ft_list'], 'FT._LIST', self::list(self::bulk('i')), ['i'], "~1\r\n" . self::bulk('i'), ['i']],
            [['ftaggregate', 'i', '*'], 'FT.AGGREGATE i * DIALECT 2', $row, [1, ['a', '1']]],
            [['ftaggregate', 'i', '*', self::object('LOAD', '*')], 'FT.AGGREGATE i * LOAD * DIALECT 2', $row, [1, ['a', '1']]],
            [['ftaliasadd', 'a', 'i'], 'FT.ALIASADD a i', self::OK, 'OK'],
            [['ftaliasdel', 'a'], 'FT.ALIASDEL a', self::OK, 'OK'],
            [['ftaliaslist', 'i'], 'FT.ALIASLIST i', self::list(self::bulk('a')), ['a']],
            [['ftaliasupdate', 'a', 'i'], 'FT.ALIASUPDATE a i', self::OK, 'OK'],
            [['ftalter', 'i', [$field]], 'FT.ALTER i SCHEMA ADD title TEXT SORTABLE', self::OK, 'OK'],
            [['ftalter', 'i', [$field], self::object('SKIPINITIALSCAN')], 'FT.ALTER i SKIPINITIALSCAN SCHEMA ADD title TEXT SORTABLE', self::OK, 'OK'],
            [['ftconfig', 'GET', 'TIMEOUT'], 'FT.CONFIG GET TIMEOUT', self::list(self::list(self::bulk('TIMEOUT'), self::bulk('500'))), [['TIMEOUT', '500']], self::map(self::bulk('TIMEOUT'), self::bulk('500')), ['TIMEOUT' => '500']],
            [['ftconfig', 'SET', 'TIMEOUT', 500], 'FT.CONFIG SET TIMEOUT 500', self::OK, 'OK'],
            [['ftcreate', 'i', [$field, self::object('n', 'NUMERIC')]], 'FT.CREATE i SCHEMA title TEXT SORTABLE n NUMERIC', self::OK, 'OK'],
            [['ftcreate', 'i', [$field], self::object('ON', 'HASH', 'PREFIX', 1, 'd:')], 'FT.CREATE i ON HASH PREFIX 1 d: SCHEMA title TEXT SORTABLE', self::OK, 'OK'],
            [['ftcreate', 'i', 'ON', 'JSON', 'SCHEMA', '$.t', 'AS', 't', 'TEXT'], 'FT.CREATE i ON JSON SCHEMA $.t AS t TEXT', self::OK, 'OK'],
            [['ftcursor', 'READ', 'i', 7, self::object('COUNT', 5)], 'FT.CURSOR READ i 7 COUNT 5', self::list(self::list(), ":0\r\n"), [[], 0]],
            [['ftcursor', 'DEL', 'i', 7, null], 'FT.CURSOR DEL i 7', self::OK, 'OK'],
            [['ftdictadd', 'd', 'a', 'b'], 'FT.DICTADD d a b', ":2\r\n", 2],
            [['ftdictdel', 'd', 'a'], 'FT.DICTDEL d a', ":1\r\n", 1],
            [['ftdictdump', 'd'], 'FT.DICTDUMP d', self::list(self::bulk('b')), ['b']],
            [['ftdropindex', 'i'], 'FT.DROPINDEX i', self::OK, 'OK'],
            [['ftdropindex', 'i', self::object('DD')], 'FT.DROPINDEX i DD', self::OK, 'OK'],
            [['ftexplain', 'i', '@a:b', null], 'FT.EXPLAIN i @a:b DIALECT 2', self::bulk('INTERSECT'), 'INTERSECT'],
            [['ftexplain', 'i', 'q', self::object('DIALECT', 3)], 'FT.EXPLAIN i q DIALECT 3', self::bulk('UNION'), 'UNION'],
            [
                ['fthybrid', 'i', self::object('SEARCH', 'q', 'VSIM', '@v', '$b')],
                'FT.HYBRID i SEARCH q VSIM @v $b',
                self::list(...$hybrid, ...[self::list(self::list(...$hit))], ...$rest),
                ['total_results' => 1, 'results' => [['__key' => 'd:1', 'more' => ['a' => '1']]], 'warnings' => [], 'execution_time' => '0.5'],
                self::map(...$hybrid, ...[self::list(self::map(self::bulk('__key'), self::bulk('d:1'), self::bulk('more'), self::list(self::bulk('a'))))], ...$rest),
                ['total_results' => 1, 'results' => [['__key' => 'd:1', 'more' => ['a']]], 'warnings' => [], 'execution_time' => '0.5'],
            ],
            [
                ['fthybrid', 'i', self::object('WITHCURSOR')],
                'FT.HYBRID i WITHCURSOR',
                self::list(self::bulk('SEARCH'), ":1\r\n", self::bulk('VSIM'), ":2\r\n"),
                ['SEARCH' => 1, 'VSIM' => 2],
                self::map(self::bulk('SEARCH'), ":1\r\n", self::bulk('VSIM'), ":2\r\n"),
            ],
            [['ftinfo', 'i'], 'FT.INFO i', self::list(self::bulk('num_docs'), self::bulk('1')), ['num_docs', '1'], self::map(self::bulk('num_docs'), ":1\r\n"), ['num_docs' => 1]],
            [['ftprofile', 'i', self::object('SEARCH', 'LIMITED', 'QUERY', 'q')], 'FT.PROFILE i SEARCH LIMITED QUERY q', self::list($found, self::list()), [[1, 'd:1', ['title', 'x']], []]],
            [['ftsearch', 'i', 'q'], 'FT.SEARCH i q DIALECT 2', $found, [1, 'd:1', ['title', 'x']], $foundMap, ['total_results' => 1, 'results' => [['id' => 'd:1']]]],
            [['ftsearch', 'i', 'a b', self::object('LIMIT', 0, 5)], ['FT.SEARCH', 'i', 'a b', 'LIMIT', '0', '5', 'DIALECT', '2'], $found, [1, 'd:1', ['title', 'x']]],
            [['ftsearch', 'i', 'q', 'NOCONTENT', 'DIALECT', 1], 'FT.SEARCH i q NOCONTENT DIALECT 1', self::list(":0\r\n"), [0]],
            [['ftspellcheck', 'i', 'q', self::object('DISTANCE', 2)], 'FT.SPELLCHECK i q DISTANCE 2 DIALECT 2', self::list(), []],
            [['ftsugadd', 's', 'redis', 1.5, self::object('INCR')], 'FT.SUGADD s redis 1.5 INCR', ":1\r\n", 1],
            [['ftsugadd', 's', 'redis', 1], 'FT.SUGADD s redis 1', ":1\r\n", 1],
            [['ftsugdel', 's', 'redis'], 'FT.SUGDEL s redis', ":1\r\n", 1],
            [['ftsugget', 's', 're', self::object('FUZZY', 'MAX', 3)], 'FT.SUGGET s re FUZZY MAX 3', self::list(self::bulk('redis')), ['redis']],
            [['ftsugget', 's', 'x'], 'FT.SUGGET s x', "$-1\r\n", null, "_\r\n", null],
            [['ftsuglen', 's'], 'FT.SUGLEN s', ":1\r\n", 1],
            [['ftsyndump', 'i'], 'FT.SYNDUMP i', self::list(self::bulk('boy'), self::list(self::bulk('g'))), ['boy', ['g']], self::map(self::bulk('boy'), self::list(self::bulk('g'))), ['boy' => ['g']]],
            [['ftsynupdate', 'i', 'g', null, 'boy', 'child'], 'FT.SYNUPDATE i g boy child', self::OK, 'OK'],
            [['ftsynupdate', 'i', 'g', self::object('SKIPINITIALSCAN'), 'boy'], 'FT.SYNUPDATE i g SKIPINITIALSCAN boy', self::OK, 'OK'],
            [['fttagvals', 'i', 'tag'], 'FT.TAGVALS i tag', self::list(self::bulk('a')), ['a'], "~1\r\n" . self::bulk('a'), ['a']],
        ];
    }

    private static function series(): array
    {
        $sample = self::list(":5\r\n", self::bulk('1.5'));
        $sample3 = self::list(":5\r\n", ",1.5\r\n");
        $by = self::list(self::list(self::bulk('k'), self::list(), $sample));
        $by3 = self::map(self::bulk('k'), self::list(self::map(), $sample3));
        [$range, $range3] = [[[5, '1.5']], [[5, 1.5]]];
        $options = self::object('COUNT', 5, 'AGGREGATION', 'avg', 60);

        return [
            [['tsadd', 'k', '*', 1.5], 'TS.ADD k * 1.5', ":5\r\n", 5],
            [['tsadd', 'k', 5, 1, self::object('LABELS', 'room', 'a')], 'TS.ADD k 5 1 LABELS room a', ":5\r\n", 5],
            [['tsalter', 'k', self::object('RETENTION', 60)], 'TS.ALTER k RETENTION 60', self::OK, 'OK'],
            [['tscreate', 'k'], 'TS.CREATE k', self::OK, 'OK'],
            [['tscreate', 'k', self::object('RETENTION', 60)], 'TS.CREATE k RETENTION 60', self::OK, 'OK'],
            [['tscreaterule', 'a', 'b', 'avg', 60], 'TS.CREATERULE a b AGGREGATION avg 60', self::OK, 'OK'],
            [['tscreaterule', 'a', 'b', 'avg', 60, 5], 'TS.CREATERULE a b AGGREGATION avg 60 5', self::OK, 'OK'],
            [['tsdecrby', 'k', 1.5, self::object('TIMESTAMP', 6)], 'TS.DECRBY k 1.5 TIMESTAMP 6', ":6\r\n", 6],
            [['tsdel', 'k', 1, 9], 'TS.DEL k 1 9', ":1\r\n", 1],
            [['tsdeleterule', 'a', 'b'], 'TS.DELETERULE a b', self::OK, 'OK'],
            [['tsget', 'k'], 'TS.GET k', $sample, [5, '1.5'], $sample3, [5, 1.5]],
            [['tsget', 'k', self::object('LATEST')], 'TS.GET k LATEST', self::list(), []],
            [['tsincrby', 'k', 2, null], 'TS.INCRBY k 2', ":6\r\n", 6],
            [['tsinfo', 'k', self::object('DEBUG')], 'TS.INFO k DEBUG', self::list("+totalSamples\r\n", ":1\r\n"), ['totalSamples', 1], self::map("+totalSamples\r\n", ":1\r\n"), ['totalSamples' => 1]],
            [['tsmadd', 'a', 5, 1, 'b', 6, 2], 'TS.MADD a 5 1 b 6 2', self::list(":5\r\n", ":6\r\n"), [5, 6]],
            [['tsmget', self::object('WITHLABELS'), 'a=b', 'c!='], 'TS.MGET WITHLABELS FILTER a=b c!=', $by, [['k', [], [5, '1.5']]], $by3, ['k' => [[], [5, 1.5]]]],
            [['tsmget', self::object(), 'a=b'], 'TS.MGET FILTER a=b', self::list(), [], self::map(), []],
            [['tsmrange', '-', '+', self::object('WITHLABELS', 'FILTER', 'a=b')], 'TS.MRANGE - + WITHLABELS FILTER a=b', $by, [['k', [], [5, '1.5']]], $by3, ['k' => [[], [5, 1.5]]]],
            [['tsmrevrange', 1, 9, self::object('FILTER', 'a=b')], 'TS.MREVRANGE 1 9 FILTER a=b', $by, [['k', [], [5, '1.5']]], $by3, ['k' => [[], [5, 1.5]]]],
            [['tsnrange', ['a', 'b'], '-', '+', $options], 'TS.NRANGE 2 a b - + COUNT 5 AGGREGATION avg 60', self::list(self::list(":5\r\n", self::list(self::bulk('1')))), [[5, ['1']]]],
            [['tsnrevrange', ['a'], '-', '+', null], 'TS.NREVRANGE 1 a - +', self::list(), []],
            [['tsqueryindex', 'a=b', 'c!='], 'TS.QUERYINDEX a=b c!=', self::list(self::bulk('k')), ['k'], "~1\r\n" . self::bulk('k'), ['k']],
            [['tsquerylabels'], 'TS.QUERYLABELS LABELS', self::list(self::bulk('room')), ['room']],
            [['tsquerylabels', null, 'a=b'], 'TS.QUERYLABELS LABELS FILTER a=b', self::list(self::bulk('room')), ['room']],
            [['tsquerylabels', 'room', 'a=b'], 'TS.QUERYLABELS VALUES room FILTER a=b', self::list(self::bulk('hall')), ['hall']],
            [['tsrange', 'k', '-', '+', $options], 'TS.RANGE k - + COUNT 5 AGGREGATION avg 60', self::list($sample), $range, self::list($sample3), $range3],
            [['tsread', 'k', 5, self::object('BLOCK', 100, 1, 'MAX_COUNT', 9)], 'TS.READ k 5 BLOCK 100 1 MAX_COUNT 9', self::list($sample), $range, self::list($sample3), $range3],
            [['tsread', 'k', 9], 'TS.READ k 9', self::list(), []],
            [['tsrevrange', 'k', 1, 9], 'TS.REVRANGE k 1 9', self::list($sample), $range, self::list($sample3), $range3],
        ];
    }

    private static function filters(): array
    {
        $info = [self::bulk('Capacity'), ":100\r\n", self::bulk('Size'), ":290\r\n"];
        $chunk = self::list(":1\r\n", self::bulk("\x01data"));
        $many = self::list(":1\r\n", ":0\r\n");
        $many3 = self::list("#t\r\n", "#f\r\n");

        return [
            [['bfadd', 'b', 'i'], 'BF.ADD b i', ":1\r\n", 1, "#t\r\n", true],
            [['bfexists', 'b', 'i'], 'BF.EXISTS b i', ":0\r\n", 0, "#f\r\n", false],
            [['bfinfo', 'b'], 'BF.INFO b', self::list(...$info), ['Capacity' => 100, 'Size' => 290], self::map(...$info)],
            [['bfinfo', 'b', 'capacity'], 'BF.INFO b CAPACITY', self::list(":100\r\n"), [100], self::map(self::bulk('Capacity'), ":100\r\n"), ['Capacity' => 100]],
            [['bfinsert', 'b', -1, -1, -1, false, false, 'i', 'j'], 'BF.INSERT b ITEMS i j', $many, [1, 0], $many3, [true, false]],
            [['bfinsert', 'b', 100, 0.01, 2, true, true, 'items'], 'BF.INSERT b CAPACITY 100 ERROR 0.01 EXPANSION 2 NOCREATE NONSCALING ITEMS items', $many, [1, 0], $many3, [true, false]],
            [['bfloadchunk', 'b', 1, 'data'], 'BF.LOADCHUNK b 1 data', self::OK, 'OK'],
            [['bfmadd', 'b', 'i', 'j'], 'BF.MADD b i j', $many, [1, 0], $many3, [true, false]],
            [['bfmexists', 'b', 'i', 'j'], 'BF.MEXISTS b i j', $many, [1, 0], $many3, [true, false]],
            [['bfreserve', 'b', 0.01, 100], 'BF.RESERVE b 0.01 100', self::OK, 'OK'],
            [['bfreserve', 'b', 0.01, 100, 2, true], 'BF.RESERVE b 0.01 100 EXPANSION 2 NONSCALING', self::OK, 'OK'],
            [['bfscandump', 'b', 0], 'BF.SCANDUMP b 0', $chunk, [1, "\x01data"]],
            [['cfadd', 'c', 'i'], 'CF.ADD c i', ":1\r\n", 1, "#t\r\n", true],
            [['cfaddnx', 'c', 'i'], 'CF.ADDNX c i', ":0\r\n", 0, "#f\r\n", false],
            [['cfcount', 'c', 'i'], 'CF.COUNT c i', ":2\r\n", 2],
            [['cfdel', 'c', 'i'], 'CF.DEL c i', ":1\r\n", 1, "#t\r\n", true],
            [['cfexists', 'c', 'i'], 'CF.EXISTS c i', ":1\r\n", 1, "#t\r\n", true],
            [['cfinfo', 'c'], 'CF.INFO c', self::list(self::bulk('Size'), ":9\r\n"), ['Size' => 9], self::map(self::bulk('Size'), ":9\r\n")],
            [['cfinsert', 'c', -1, false, 'i', 'j'], 'CF.INSERT c ITEMS i j', $many, [1, 0], $many3, [true, false]],
            [['cfinsert', 'c', 100, true, 'nocreate'], 'CF.INSERT c CAPACITY 100 NOCREATE ITEMS nocreate', $many, [1, 0], $many3, [true, false]],
            [['cfinsertnx', 'c', 100, false, 'i', 'j'], 'CF.INSERTNX c CAPACITY 100 ITEMS i j', $many, [1, 0]],
            [['cfloadchunk', 'c', 1, 'data'], 'CF.LOADCHUNK c 1 data', self::OK, 'OK'],
            [['cfmexists', 'c', 'i', 'j'], 'CF.MEXISTS c i j', $many, [1, 0], $many3, [true, false]],
            [['cfreserve', 'c', 100], 'CF.RESERVE c 100', self::OK, 'OK'],
            [['cfreserve', 'c', 100, 2, -1, 1], 'CF.RESERVE c 100 BUCKETSIZE 2 EXPANSION 1', self::OK, 'OK'],
            [['cfreserve', 'c', 100, -1, 20], 'CF.RESERVE c 100 MAXITERATIONS 20', self::OK, 'OK'],
            [['cfscandump', 'c', 0], 'CF.SCANDUMP c 0', $chunk, [1, "\x01data"]],
        ];
    }

    private static function sketches(): array
    {
        $width = [self::bulk('width'), ":9\r\n", self::bulk('depth'), ":5\r\n"];
        $floats = self::list(self::bulk('1.5'), self::bulk('nan'), self::bulk('inf'), self::bulk('-inf'));
        $floats3 = self::list(",1.5\r\n", ",inf\r\n", ",-inf\r\n");
        [$two, $three] = [['1.5', 'nan', 'inf', '-inf'], [1.5, INF, -INF]];
        $dropped = self::list("$-1\r\n", self::bulk('x'));

        return [
            [['cmsincrby', 's', 'a', 1, 'b', 2], 'CMS.INCRBY s a 1 b 2', self::list(":1\r\n", ":2\r\n"), [1, 2]],
            [['cmsinfo', 's'], 'CMS.INFO s', self::list(...$width), ['width' => 9, 'depth' => 5], self::map(...$width)],
            [['cmsinitbydim', 's', 9, 5], 'CMS.INITBYDIM s 9 5', self::OK, 'OK'],
            [['cmsinitbyprob', 's', 0.01, 0.5], 'CMS.INITBYPROB s 0.01 0.5', self::OK, 'OK'],
            [['cmsmerge', 'd', ['a', 'b']], 'CMS.MERGE d 2 a b', self::OK, 'OK'],
            [['cmsmerge', 'd', ['a', 'b'], [1, 2]], 'CMS.MERGE d 2 a b WEIGHTS 1 2', self::OK, 'OK'],
            [['cmsquery', 's', 'a', 'b'], 'CMS.QUERY s a b', self::list(":1\r\n", ":2\r\n"), [1, 2]],
            [['topkadd', 't', 'a', 'b'], 'TOPK.ADD t a b', $dropped, [null, 'x']],
            [['topkincrby', 't', 'a', 1, 'b', 2], 'TOPK.INCRBY t a 1 b 2', $dropped, [null, 'x']],
            [['topkinfo', 't'], 'TOPK.INFO t', self::list(self::bulk('k'), ":3\r\n", self::bulk('decay'), self::bulk('0.9')), ['k' => 3, 'decay' => '0.9'], self::map(self::bulk('k'), ":3\r\n", self::bulk('decay'), ",0.9\r\n"), ['k' => 3, 'decay' => 0.9]],
            [['topklist', 't'], 'TOPK.LIST t', self::list(self::bulk('a'), self::bulk('b')), ['a', 'b']],
            [['topklist', 't', true], 'TOPK.LIST t WITHCOUNT', self::list(self::bulk('a'), ":2\r\n", self::bulk('b'), ":1\r\n"), ['a' => 2, 'b' => 1]],
            [['topkquery', 't', 'a', 'b'], 'TOPK.QUERY t a b', self::list(":1\r\n", ":0\r\n"), [1, 0], self::list("#t\r\n", "#f\r\n"), [true, false]],
            [['topkreserve', 't', 3], 'TOPK.RESERVE t 3', self::OK, 'OK'],
            [['topkreserve', 't', 3, 50], 'TOPK.RESERVE t 3 50 7 0.9', self::OK, 'OK'],
            [['topkreserve', 't', 3, 50, 5], 'TOPK.RESERVE t 3 50 5 0.9', self::OK, 'OK'],
            [['topkreserve', 't', 3, 50, 5, 0.5], 'TOPK.RESERVE t 3 50 5 0.5', self::OK, 'OK'],
            [['tdigestadd', 'd', 1.5, 2], 'TDIGEST.ADD d 1.5 2', self::OK, 'OK'],
            [['tdigestbyrank', 'd', 0, 1, 9], 'TDIGEST.BYRANK d 0 1 9', $floats, $two, $floats3, $three],
            [['tdigestbyrevrank', 'd', 0, 1, 9], 'TDIGEST.BYREVRANK d 0 1 9', $floats, $two, $floats3, $three],
            [['tdigestcdf', 'd', 1, 2], 'TDIGEST.CDF d 1 2', $floats, $two, $floats3, $three],
            [['tdigestcreate', 'd'], 'TDIGEST.CREATE d', self::OK, 'OK'],
            [['tdigestcreate', 'e', 0], 'TDIGEST.CREATE e', self::OK, 'OK'],
            [['tdigestcreate', 'd', 100], 'TDIGEST.CREATE d COMPRESSION 100', self::OK, 'OK'],
            [['tdigestinfo', 'd'], 'TDIGEST.INFO d', self::list(self::bulk('Compression'), ":100\r\n"), ['Compression' => 100], self::map(self::bulk('Compression'), ":100\r\n")],
            [['tdigestmax', 'd'], 'TDIGEST.MAX d', self::bulk('nan'), 'nan', ",nan\r\n", NAN],
            [['tdigestmerge', 'd', ['a', 'b']], 'TDIGEST.MERGE d 2 a b', self::OK, 'OK'],
            [['tdigestmerge', 'd', ['a'], 100, true], 'TDIGEST.MERGE d 1 a COMPRESSION 100 OVERRIDE', self::OK, 'OK'],
            [['tdigestmerge', 'd', ['a'], 0, true], 'TDIGEST.MERGE d 1 a OVERRIDE', self::OK, 'OK'],
            [['tdigestmin', 'd'], 'TDIGEST.MIN d', self::bulk('1.5'), '1.5', ",-inf\r\n", -INF],
            [['tdigestquantile', 'd', 0.5, 1], 'TDIGEST.QUANTILE d 0.5 1', $floats, $two, $floats3, $three],
            [['tdigestrank', 'd', 1.5], 'TDIGEST.RANK d 1.5', self::list(":-1\r\n"), [-1]],
            [['tdigestreset', 'd'], 'TDIGEST.RESET d', self::OK, 'OK'],
            [['tdigestrevrank', 'd', 1.5], 'TDIGEST.REVRANK d 1.5', self::list(":0\r\n"), [0]],
            [['tdigesttrimmed_mean', 'd', 0.1, 0.9], 'TDIGEST.TRIMMED_MEAN d 0.1 0.9', self::bulk('1.5'), '1.5', ",1.5\r\n", 1.5],
        ];
    }
}
