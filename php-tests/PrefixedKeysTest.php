<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\Response\Error;
use Tests\Support\RedisTestCase;
use Tests\Support\ScriptedServer;

/** Whether `prefix` goes in front of what the server takes for keys, and of nothing else: of all commands that it knows. */
final class PrefixedKeysTest extends RedisTestCase
{
    private const PREFIX = 'p:';

    /** Commands of the server that have no line in calls-with-keys.txt. */
    private const NOT_CALLED = [
        'restore-asking' => 'sent between nodes of a cluster only',
        'pfdebug' => 'for those who work on the server',
        'spublish' => 'a channel is no key to GETKEYS: see the test of names that are no keys',
        'ssubscribe' => 'a loop subscribes, and the client refuses it elsewhere',
        'sunsubscribe' => 'a loop subscribes, and the client refuses it elsewhere',
    ];

    /**
     * Calls as Predis' users write them, which become other words than they were.
     *
     * @return iterable<array{list<mixed>, 1?: list<string>} the call, and what is prefixed though the server does not take it for a key
     */
    private static function shapes(): iterable
    {
        yield [['mset', ['a' => 1, 'b' => 2]]];
        yield [['msetnx', ['a' => 1, 'b' => 2]]];
        yield [['del', ['a', 'b']]];
        yield [['mget', ['a', 'b']]];
        yield [['exists', ['a', 'b']]];
        yield [['watch', ['a', 'b']]];
        yield [['bitop', 'OR', 'dest', ['a', 'b']]];
        yield [['blpop', ['a', 'b'], 1]];
        yield [['bzpopmin', ['a', 'b'], 1]];
        yield [['lmpop', ['a', 'b'], 'left', 2]];
        yield [['blmpop', 1, ['a', 'b'], 'left', 2]];
        yield [['zmpop', ['a', 'b'], 'min', 2]];
        yield [['bzmpop', 1, ['a', 'b'], 'min', 2]];
        yield [['sintercard', ['a', 'b'], 2]];
        yield [['zintercard', ['a', 'b'], 2]];
        yield [['sunionstore', 'dest', ['a', 'b']]];
        yield [['pfmerge', 'dest', ['a', 'b']]];
        yield [['zunion', ['a', 'b'], [1, 2], 'sum', true]];
        yield [['zinter', ['a', 'b'], [1, 2], 'max']];
        yield [['zdiff', ['a', 'b'], true]];
        yield [['zdiffstore', 'dest', ['a', 'b']]];
        yield [['zunionstore', 'dest', ['a', 'b'], [1, 2], 'sum']];
        yield [['zunionstore', 'dest', ['a', 'b'], ['weights' => [1, 2], 'aggregate' => 'max']]];
        yield [['zinterstore', 'dest', ['a', 'b']]];
        yield [['copy', 'a', 'b', 1, true]];
        yield [['lcs', 'a', 'b', true]];
        yield [['georadius', 'k', 1, 2, 3, 'km', ['COUNT' => 2, 'STORE' => 'dest']]];
        yield [['georadius', 'k', 1, 2, 3, 'km', ['STOREDIST' => 'dest']]];
        yield [['georadiusbymember', 'k', 'm', 3, 'km', ['STORE' => 'dest']]];
        yield [['migrate', 'host', 1, 'k', 0, 10, ['COPY' => true, 'REPLACE' => true]]];
        yield [['migrate', 'host', 1, '', 0, 10, 'KEYS', 'a', 'b']];
        yield [['xread', 2, null, ['a', 'b'], '0', '0']];
        yield [['xreadgroup', 'g', 'c', 2, null, true, 'a', 'b', '>', '>']];
        yield [['xadd', 'k', ['f' => 'v'], '*', ['trim' => ['MAXLEN', '~', 5]]]];
        yield [['xgroup', 'CREATE', 'k', 'g', '$', true]];
        yield [['fcall', 'name', ['a', 'b'], 'argument']];
        yield [['sort', 'k', ['LIMIT' => [0, 5], 'SORT' => 'desc', 'ALPHA' => true, 'STORE' => 'dest']]];
        // Patterns name keys as well; the server cannot say which.
        yield [['sort', 'k', ['BY' => 'weight_*', 'GET' => ['#', 'object_*->f'], 'STORE' => 'dest']], ['weight_*', 'object_*->f']];
        yield [['sort', 'k', ['BY' => 'nosort', 'GET' => 'object_*']], ['object_*']];
        yield [['sort', 'k', 'BY', 'weight_*', 'GET', '#', 'GET', 'object_*', 'STORE', 'dest'], ['weight_*', 'object_*']];
        yield [['sort_ro', 'k', 'weight_*', null, ['#', 'object_*']], ['weight_*', 'object_*']];
    }

    public function test_words_get_the_prefix_where_the_server_says_that_a_key_stands(): void
    {
        // Some lines are for servers newer than others.
        $known = array_flip(array_map(static fn (string $name): string => explode('|', $name)[0], self::commandsWithKeys()));
        $calls = array_filter(self::calls(), static fn (array $words): bool => isset($known[strtolower($words[0])]));
        $this->compare(array_map(static fn (array $words): array => [$words], $calls));
    }

    public function test_keys_get_the_prefix_in_the_shapes_of_predis(): void
    {
        $this->compare(self::shapes());
    }

    public function test_names_that_the_server_does_not_take_for_keys_are_prefixed_as_predis_does(): void
    {
        [$redis, $server] = $this->recorded(['PUBLISH', 'SPUBLISH', 'KEYS', 'SCAN']);
        $redis->publish('channel', 'x');
        $redis->spublish('channel', 'x');
        $redis->keys('a*');
        $redis->scan(0, ['MATCH' => 'a*']);
        self::assertSame(
            [['PUBLISH', 'p:channel', 'x'], ['SPUBLISH', 'p:channel', 'x'], ['KEYS', 'p:a*'], ['SCAN', '0', 'MATCH', 'a*']],
            $server->recorded(),
        );
    }

    public function test_no_command_of_the_server_that_takes_keys_is_left_out(): void
    {
        $called = [];
        foreach (self::calls() as $words) {
            $called[strtolower($words[0])] = $called[strtolower("$words[0]|$words[1]")] = true;
        }
        $missing = array_filter(self::commandsWithKeys(), static fn (string $name): bool => !isset($called[$name]) && !isset(self::NOT_CALLED[$name]));
        self::assertSame([], array_values($missing), 'these have no line in calls-with-keys.txt');
    }

    /** @param iterable<array{list<mixed>, 1?: list<string>}> $calls */
    private function compare(iterable $calls): void
    {
        $names = array_unique(array_map(static fn (string $name): string => strtoupper(explode('|', $name)[0]), self::commandsWithKeys()));
        [$redis, $server] = $this->recorded(array_values($names));
        foreach ($calls as $row) {
            [$call, $patterns] = [$row[0], $row[1] ?? []];
            $told = self::seen($call);
            $reply = $redis->{strtolower($call[0])}(...array_slice($call, 1));
            self::assertInstanceOf(Error::class, $reply, $told);
            $recorded = $server->recorded();
            self::assertCount(1, $recorded, $told);
            $words = $recorded[0];
            $told .= ' went out as ' . implode(' ', $words);
            $keys = self::shared()->command('COMMAND', 'GETKEYS', ...$words);
            self::assertIsArray($keys, "$told: " . self::seen($keys));
            $prefixed = array_filter($words, static fn (string $word): bool => str_starts_with($word, self::PREFIX));
            $expected = [...$keys, ...array_map(static fn (string $pattern): string => self::PREFIX . $pattern, $patterns)];
            sort($expected);
            sort($prefixed);
            self::assertSame($expected, $prefixed, $told);
        }
    }

    /**
     * A client with a prefix, and the server that records what it sends.
     *
     * @param list<string> $names of the commands that are recorded
     * @return array{ResilientRedis, ScriptedServer}
     */
    private function recorded(array $names): array
    {
        $rule = static fn (string $name): array => ['command' => $name, 'fault' => 'record', 'times' => PHP_INT_MAX];
        $server = $this->stoppedAtTheEnd(ScriptedServer::following(self::shared(), array_map($rule, $names)));

        return [new ResilientRedis($server->endpoint(), ['prefix' => self::PREFIX, 'exceptions' => false]), $server];
    }

    /** @return list<list<string>> */
    private static function calls(): array
    {
        $lines = file(__DIR__ . '/Fixtures/calls-with-keys.txt', FILE_IGNORE_NEW_LINES | FILE_SKIP_EMPTY_LINES) ?: [];

        return array_map(static fn (string $line): array => str_replace('""', '', explode(' ', $line)), $lines);
    }

    /**
     * The commands and subcommands that the server finds keys in.
     *
     * @return list<string>
     */
    private static function commandsWithKeys(): array
    {
        $names = [];
        $rows = self::shared()->command('COMMAND');
        while (($row = array_pop($rows)) !== null) {
            [$name, $flags, $specifications, $subcommands] = [$row[0], $row[2], $row[8], $row[9]];
            array_push($rows, ...$subcommands);
            if ($subcommands === [] && ($specifications !== [] || in_array('movablekeys', $flags, true))) {
                // Those of modules are spelt as their authors like.
                $names[] = strtolower($name);
            }
        }
        self::assertGreaterThan(180, count($names), self::seen($names));

        return $names;
    }
}
