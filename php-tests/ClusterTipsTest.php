<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\ClusterTestCase;
use Tests\Support\RedisServer;

/** Where commands go in a cluster, held against the tips that the server gives of each. */
final class ClusterTipsTest extends ClusterTestCase
{
    /** What we do otherwise than a tip says, and why. */
    private const OTHERWISE = [
        'client|setinfo' => 'the client says it on each of its connections',
        'client|setname' => 'it would be the name of one connection of many: refused',
        'acl|deluser' => 'of Redis 8: replicas have users of their own, too, so each node is asked by itself (getClientBy)',
        'acl|load' => 'of Redis 8: replicas have users of their own, too, so each node is asked by itself (getClientBy)',
        'acl|save' => 'of Redis 8: replicas have users of their own, too, so each node is asked by itself (getClientBy)',
        'acl|setuser' => 'of Redis 8: replicas have users of their own, too, so each node is asked by itself (getClientBy)',
        'msetnx' => 'in part it would not be what it says: refused',
        'ping' => 'asks whether anybody is there',
    ];

    /** A call of each command that a tip sends to all shards or all nodes. */
    private const CALLS = [
        'config|resetstat' => ['CONFIG', 'RESETSTAT'],
        'config|rewrite' => ['CONFIG', 'REWRITE'],
        'config|set' => ['CONFIG', 'SET', 'slowlog-max-len', '128'],
        'dbsize' => ['DBSIZE'],
        'flushall' => ['FLUSHALL'],
        'flushdb' => ['FLUSHDB'],
        'function|delete' => ['FUNCTION', 'DELETE', 'tips'],
        'function|flush' => ['FUNCTION', 'FLUSH'],
        'function|kill' => ['FUNCTION', 'KILL'],
        'function|load' => ['FUNCTION', 'LOAD', 'REPLACE', "#!lua name=tips\nredis.register_function('tip', function() return 1 end)"],
        'function|restore' => ['FUNCTION', 'RESTORE', ''],
        'keys' => ['KEYS', '*'],
        'latency|reset' => ['LATENCY', 'RESET'],
        'memory|purge' => ['MEMORY', 'PURGE'],
        'randomkey' => ['RANDOMKEY'],
        'script|exists' => ['SCRIPT', 'EXISTS', 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db'],
        'script|flush' => ['SCRIPT', 'FLUSH'],
        'script|kill' => ['SCRIPT', 'KILL'],
        'script|load' => ['SCRIPT', 'LOAD', 'return 1'],
        'slowlog|get' => ['SLOWLOG', 'GET'],
        'slowlog|len' => ['SLOWLOG', 'LEN'],
        'slowlog|reset' => ['SLOWLOG', 'RESET'],
        'wait' => ['WAIT', '0', '1'],
        'waitaof' => ['WAITAOF', '0', '0', '1'],
    ];

    public function test_what_the_server_says_is_for_all_is_sent_to_all_primaries(): void
    {
        $cluster = self::cluster();
        $redis = self::clientOf($cluster);
        $primaries = $cluster->primaries();
        $checked = 0;
        foreach (self::tips($primaries[0]) as $name => $tips) {
            if (isset(self::OTHERWISE[$name]) || !in_array($tips['request'], ['all_shards', 'all_nodes'], true)) {
                continue;
            }
            // What is of one node only has no sum: it is asked of one, and of each by getClientBy().
            if ($tips['response'] === 'special' && !isset(self::CALLS[$name])) {
                continue;
            }
            $call = self::CALLS[$name] ?? self::fail("$name is for {$tips['request']}: what becomes of it is not decided");
            $before = array_map(static fn (RedisServer $primary): int => self::asked($primary, $name), $primaries);
            try {
                $redis->executeRaw($call);
            } catch (\ResilientRedis\ServerException) {
                // Not all of them can be done: that they were asked is enough.
            }
            foreach ($primaries as $number => $primary) {
                $after = self::asked($primary, $name);
                $forgets = $name === 'config|resetstat';
                self::assertSame($forgets ? 1 : $before[$number] + 1, $after, "$name at node $number");
            }
            $checked++;
        }
        self::assertGreaterThan(15, $checked);
    }

    public function test_what_the_server_says_may_be_split_is_split(): void
    {
        $cluster = self::cluster();
        $redis = self::clientOf($cluster);
        [$a, $b] = array_map(static fn (string $tag): string => "{{$tag}}k", array_slice(self::tags($cluster), 0, 2));
        $calls = [
            'del' => [[$a, $b], 2], 'exists' => [[$a, $b], 2], 'mget' => [[$a, $b], ['1', '2']], 'mset' => [[$a, '3', $b, '4'], 'OK'],
            'touch' => [[$a, $b], 2], 'unlink' => [[$a, $b], 2],
        ];
        foreach (self::tips($cluster->primaries()[0]) as $name => $tips) {
            if ($tips['request'] === 'multi_shard' && !isset(self::OTHERWISE[$name])) {
                [$arguments, $reply] = $calls[$name] ?? self::fail("$name may be split: what becomes of it is not decided");
                $redis->mset([$a => '1', $b => '2']);
                self::assertSame($reply, $redis->executeRaw([$name, ...$arguments]), $name);
            }
        }
    }

    public function test_replies_of_all_become_one_as_the_tips_say(): void
    {
        $cluster = self::cluster();
        $redis = self::clientOf($cluster);
        $primaries = $cluster->primaries();
        $tags = self::tags($cluster);
        foreach ($tags as $tag) {
            $redis->set("{{$tag}}k", 'v');
        }
        self::assertSame(3, $redis->dbsize(), 'agg_sum');
        self::assertCount(3, $redis->keys('*'), 'one list');
        self::assertSame('OK', $redis->config('SET', 'slowlog-max-len', '128'), 'all_succeeded');
        $digest = $redis->script('LOAD', 'return 7');
        self::assertSame([1], $redis->script('EXISTS', $digest), 'agg_logical_and');
        $primaries[1]->command('SCRIPT', 'FLUSH');
        self::assertSame([0], $redis->script('EXISTS', $digest));
        $error = self::thrown(\ResilientRedis\ServerException::class, static fn () => $redis->script('KILL'));
        self::assertStringStartsWith('NOTBUSY', $error->getMessage(), 'one_succeeded');
    }

    public function test_what_some_nodes_have_done_and_others_not_is_told_by_node(): void
    {
        $cluster = self::cluster();
        $redis = self::clientOf($cluster);
        $primaries = $cluster->primaries();
        $code = "#!lua name=%s\nredis.register_function('%s', function() return 1 end)";
        $primaries[1]->command('FUNCTION', 'LOAD', sprintf($code, 'half', 'half'));
        $error = self::thrown(\ResilientRedis\OutcomeUnknown::class, static fn () => $redis->function->load(sprintf($code, 'half', 'half')));
        self::assertStringContainsString('already exists', $error->getMessage());
        self::assertStringEndsWith(
            "; of the cluster's nodes it is done at {$primaries[0]->address()}, {$primaries[2]->address()}, not done at {$primaries[1]->address()}",
            $error->getMessage(),
        );
        $error = self::thrown(\ResilientRedis\ServerException::class, static fn () => $redis->function->load(sprintf($code, 'half', 'half')));
        self::assertStringContainsString('already exists', $error->getMessage(), 'all refuse alike: nothing is in doubt');
        $redis->function->flush();
    }

    /** @return array<string, array{request: string, response: string}> by the command's name, as `command` or `command|subcommand` */
    private static function tips(RedisServer $server): array
    {
        $found = [];
        $read = static function (array $commands) use (&$read, &$found): void {
            foreach ($commands as $command) {
                $policies = ['request' => '', 'response' => ''];
                foreach ($command[7] as $tip) {
                    if (preg_match('/^(request|response)_policy:(\w+)$/', $tip, $match)) {
                        $policies[$match[1]] = $match[2];
                    }
                }
                $found[$command[0]] = $policies;
                $read($command[9]);
            }
        };
        $read((array) $server->command('COMMAND'));
        ksort($found);

        return $found;
    }

    /** How often a node was asked, whatever came of it. */
    private static function asked(RedisServer $server, string $name): int
    {
        $counters = $server->info('commandstats')["cmdstat_$name"] ?? '';
        preg_match_all('/(?:^|,)(calls|rejected_calls)=(\d+)/', $counters, $found);

        return (int) array_sum($found[2]);
    }
}
