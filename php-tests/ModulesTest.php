<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis\ClientException;
use ResilientRedis\ServerException;
use ResilientRedis\TimeoutException;
use Tests\Support\ModuleCalls;
use Tests\Support\RedisTestCase;
use Tests\Support\ScriptedServer;

/**
 * The commands of modules, called as Predis' methods are: the words that are sent, exactly, and what the reply becomes. The server
 * of these tests has no modules; a proxy answers in its place whoever sends the right words.
 */
final class ModulesTest extends RedisTestCase
{
    /** @var array<int, array{ScriptedServer, \ResilientRedis}> by protocol */
    private static array $answering = [];

    public static function tearDownAfterClass(): void
    {
        array_map(static fn (array $pair) => $pair[0]->stop(), self::$answering);
        self::$answering = [];
        parent::tearDownAfterClass();
    }

    /** @dataProvider calls */
    public function test_it_is_called_and_answered_as_predis_is(int $protocol, array $call, mixed $expected): void
    {
        $redis = self::answering($protocol);
        [$method, $arguments] = [$call[0], array_slice($call, 1)];
        self::same($expected, $redis->$method(...$arguments), 'alone');
        self::same($expected, $redis->pipeline()->ping()->$method(...$arguments)->execute()[1], 'in a pipeline');
    }

    /** @return iterable<string, array{int, list<mixed>, mixed}> */
    public static function calls(): iterable
    {
        foreach (ModuleCalls::all() as $name => $row) {
            yield "$name, RESP2" => [2, $row['call'], $row['two'][1]];
            yield "$name, RESP3" => [3, $row['call'], $row['three'][1]];
        }
    }

    public function test_every_method_of_modules_is_among_the_calls(): void
    {
        preg_match_all('/^[A-Z_.]+\t(\w+)\t/m', (string) file_get_contents(__DIR__ . '/../src/command/modules.tsv'), $found);
        self::assertGreaterThan(100, count($found[1]));
        $called = array_map(static fn (array $row): string => $row['call'][0], ModuleCalls::all());
        self::assertSame([], array_values(array_diff($found[1], $called)));
    }

    /** @dataProvider wrong */
    public function test_a_wrong_shape_is_refused_before_anything_is_sent(array $call, string $message): void
    {
        $redis = new \ResilientRedis('tcp://127.0.0.1:1', ['retry' => false]);
        $refused = self::thrown(ClientException::class, static fn () => $redis->{$call[0]}(...array_slice($call, 1)));
        self::assertStringContainsString($message, $refused->getMessage());
    }

    /** @return iterable<string, array{list<mixed>, string}> */
    public static function wrong(): iterable
    {
        $objects = 'true was given; accepted are objects with toArray, lists of words, words and null';
        foreach ([
            [['bfinfo', 'b', 'colour'], "'colour' was given; accepted are CAPACITY"],
            [['jsonset', 'j', '$', '1', 'YY'], "'YY' was given; accepted are NX and XX"],
            [['cfreserve', 'c', 9, [5]], 'an array was given for BUCKETSIZE'],
            [['cmsmerge', 'd', ['a'], ['weights' => 1]], "an array with the key 'weights'"],
            [['tdigestmerge', 'd', ['a'], [100]], 'accepted are a compression and whether it overrides'],
            [['ftsearch', 'i', 'q', true], $objects],
            [['ftsearch', 'i', 'q', ['limit' => [0, 5]]], "an array with the key 'limit'"],
            [['ftcreate', 'i', ['title' => 'TEXT']], "fields with the key 'title' were given; accepted is a list of fields"],
            [['ftcreate', 'i', [new \stdClass()]], 'an object without __toString was given'],
            [['tsadd', 'k', '*', 1, true], $objects],
            [['tsadd', 'k', '*', 1, [['LABELS']]], 'an array inside of an array'],
            [['tsget', 'k', new \stdClass()], 'an object without __toString was given'],
            [['tsquerylabels', ['room']], 'accepted are a name and null'],
        ] as $case) {
            yield self::seen($case[0]) => $case;
        }
    }

    public function test_keys_and_names_of_indexes_get_the_prefix(): void
    {
        foreach ([
            'FT.ALIASADD p:a p:i' => ['ftaliasadd', 'a', 'i'],
            'FT.ALIASUPDATE p:a p:i' => ['ftaliasupdate', 'a', 'i'],
            'FT.SEARCH p:i q DIALECT 2' => ['ftsearch', 'i', 'q'],
            'FT.CURSOR READ p:i 7 COUNT 5' => ['ftcursor', 'READ', 'i', 7, ['COUNT', 5]],
            'FT.DICTADD p:d a' => ['ftdictadd', 'd', 'a'],
            'JSON.MGET p:a p:b $' => ['jsonmget', ['a', 'b'], '$'],
            'JSON.MSET p:a $ 1 p:b $ 2' => ['jsonmset', 'a', '$', '1', 'b', '$', '2'],
            'JSON.DEBUG MEMORY p:j $' => ['jsondebug', 'MEMORY', 'j', '$'],
            'CMS.MERGE p:d 2 p:a p:b' => ['cmsmerge', 'd', ['a', 'b']],
            'TDIGEST.MERGE p:d 1 p:a' => ['tdigestmerge', 'd', ['a']],
            'TS.CREATERULE p:a p:b AGGREGATION avg 60' => ['tscreaterule', 'a', 'b', 'avg', 60],
            'TS.NRANGE 2 p:a p:b - +' => ['tsnrange', ['a', 'b'], '-', '+'],
            'TS.MGET FILTER a=b' => ['tsmget', null, 'a=b'],
        ] as $words => $call) {
            $rule = ['command' => strtok($words, ' '), 'fault' => 'say', 'times' => 1, 'words' => explode(' ', $words), 'bytes' => "+sent\r\n"];
            $proxy = $this->stoppedAtTheEnd(ScriptedServer::following(self::shared(), [$rule]));
            $redis = new \ResilientRedis($proxy->endpoint(), ['prefix' => 'p:', 'protocol' => 2]);
            self::assertSame('sent', $redis->{$call[0]}(...array_slice($call, 1)), $words);
        }
    }

    public function test_containers_of_modules_are_called_as_predis_has_them(): void
    {
        $redis = self::answering(3);
        self::assertSame(72, $redis->jsondebug->memory('j', '$'));
        self::assertSame([[], 0], $redis->ftcursor->read('i', 7, ModuleCalls::object('COUNT', 5)));
        self::assertSame(['TIMEOUT' => '500'], $redis->ftconfig->get('TIMEOUT'));
    }

    public function test_an_error_among_the_replies_stands_in_its_place(): void
    {
        foreach ([2, 3] as $protocol) {
            $proxy = $this->stoppedAtTheEnd(ScriptedServer::saying(self::shared(), 'TS.MADD', "*2\r\n:5\r\n-TSDB: the key does not exist\r\n"));
            $redis = new \ResilientRedis($proxy->endpoint(), ['protocol' => $protocol]);
            [$added, $refused] = $redis->tsmadd('a', 5, 1, 'b', 6, 2);
            self::assertSame(5, $added);
            self::assertInstanceOf(\ResilientRedis\Response\Error::class, $refused);
            self::assertSame('TSDB: the key does not exist', $refused->getMessage());
        }
    }

    public function test_a_read_of_a_series_that_waits_is_given_the_time_for_it(): void
    {
        $late = static fn (): ScriptedServer => ScriptedServer::before(self::shared(), 'TS.READ', 'late', 1, 0.6);
        $options = ['read_write_timeout' => 0.25, 'retry' => false];
        $redis = new \ResilientRedis($this->stoppedAtTheEnd($late())->endpoint(), $options);
        self::thrown(ServerException::class, static fn () => $redis->tsread('s', 0, ModuleCalls::object('BLOCK', 500, 1)));
        $redis = new \ResilientRedis($this->stoppedAtTheEnd($late())->endpoint(), $options);
        self::thrown(TimeoutException::class, static fn () => $redis->tsread('s', 0));
    }

    public function test_an_argument_object_that_throws_or_gives_no_array_sends_nothing(): void
    {
        $redis = new \ResilientRedis('tcp://127.0.0.1:1', ['retry' => false]);
        $field = new class () {
            public function toArray(): array
            {
                throw new \DomainException('no field');
            }
        };
        self::thrown(\DomainException::class, static fn () => $redis->ftcreate('i', [ModuleCalls::object('t', 'TEXT'), $field]));
        $broken = new class () {
            public function toArray(): string
            {
                return 'TEXT';
            }
        };
        self::thrown(ClientException::class, static fn () => $redis->ftcreate('i', [$broken]));
    }

    private static function answering(int $protocol): \ResilientRedis
    {
        if (!isset(self::$answering[$protocol])) {
            $proxy = ScriptedServer::following(self::shared(), ModuleCalls::rules($protocol));
            self::$answering[$protocol] = [$proxy, new \ResilientRedis($proxy->endpoint(), ['protocol' => $protocol])];
        }

        return self::$answering[$protocol][1];
    }

    private static function same(mixed $expected, mixed $seen, string $where): void
    {
        if (is_float($expected) && is_nan($expected)) {
            self::assertNan($seen, $where);
        } else {
            self::assertSame($expected, $seen, $where);
        }
    }
}
