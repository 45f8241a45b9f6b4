<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis\Command\RawCommand;
use ResilientRedis\Response\Error;
use Tests\Support\ClusterTestCase;
use Tests\Support\RedisServer;
use Tests\Support\ScriptedServer;
use Tests\Support\Slot;

/** Slots, key positions and splitting held against the servers' own words, with what chance makes. A failure names its seed. */
final class ClusterPropertiesTest extends ClusterTestCase
{
    private int $seed;

    protected function setUp(): void
    {
        parent::setUp();
        $this->seed = (int) (getenv('PROPERTIES_SEED') ?: random_int(1, PHP_INT_MAX >> 1));
        mt_srand($this->seed);
    }

    public function test_any_key_is_looked_for_where_the_server_says_that_its_slot_is(): void
    {
        $cluster = self::cluster();
        $redis = self::clientOf($cluster);
        $owners = [];
        foreach ($cluster->primaries() as $primary) {
            $owners += array_fill_keys($cluster->slotsOf($primary), $primary->address());
        }
        for ($round = 0; $round < 600; $round++) {
            $key = self::key();
            $slot = (int) $cluster->nodes()[0]->command('CLUSTER', 'KEYSLOT', $key);
            self::assertSame($slot, Slot::of($key), $this->drawn($round, $key));
            $redis->set($key, (string) $round);
            $one = $redis->getClientBy('command', new RawCommand('GET', [$key]));
            self::assertSame([$owners[$slot] => $one], iterator_to_array($one), $this->drawn($round, $key));
            self::assertSame((string) $round, $one->get($key), $this->drawn($round, $key));
            // Two keys are for one command if they are in one slot, and only then.
            $other = mt_rand(0, 2) === 0 ? self::in($key, $slot) : self::key();
            $together = (int) $cluster->nodes()[0]->command('CLUSTER', 'KEYSLOT', $other) === $slot;
            try {
                $redis->rename($key, $other);
                $done = true;
            } catch (\ResilientRedis\ClientException) {
                $done = false;
            }
            self::assertSame($together, $done, $this->drawn($round, $key, $other));
        }
        foreach ($cluster->primaries() as $primary) {
            self::assertArrayNotHasKey('errorstat_MOVED', $primary->info('errorstats'), "seed $this->seed: nobody was asked in vain");
        }
    }

    public function test_what_is_split_is_answered_as_by_one_server(): void
    {
        $one = $this->stoppedAtTheEnd(RedisServer::start());
        $cluster = self::cluster();
        foreach ([2, 3] as $protocol) {
            $one->command('FLUSHALL');
            array_map(static fn (RedisServer $primary): mixed => $primary->command('FLUSHALL'), $cluster->primaries());
            $clients = [self::clientOf($cluster, ['protocol' => $protocol]), new \ResilientRedis($one->endpoint(), ['protocol' => $protocol])];
            $keys = array_map(self::key(...), range(1, 40));
            for ($round = 0; $round < 200; $round++) {
                $commands = [];
                for ($i = mt_rand(1, 6); $i > 0; $i--) {
                    $commands[] = self::splittable($keys);
                }
                $replies = array_map(static function (\ResilientRedis $redis) use ($commands, $round): array {
                    $run = static fn (object $target): array => array_map(
                        static fn (array $words): mixed => $target->executeCommand(new RawCommand($words[0], array_slice($words, 1))),
                        $commands,
                    );
                    if ($round % 2 === 0) {
                        return $run($redis);
                    }
                    $pipeline = $redis->pipeline();
                    $run($pipeline);

                    return $pipeline->execute();
                }, $clients);
                self::assertEquals($replies[1], $replies[0], $this->drawn($round, ...array_merge(...$commands)));
            }
        }
    }

    public function test_keys_of_any_command_stand_where_the_server_finds_them(): void
    {
        $lines = file(__DIR__ . '/Fixtures/calls-with-keys.txt', FILE_IGNORE_NEW_LINES | FILE_SKIP_EMPTY_LINES) ?: [];
        $calls = array_map(static fn (string $line): array => str_replace('""', '', explode(' ', $line)), $lines);
        $one = $this->stoppedAtTheEnd(RedisServer::start());
        $names = array_values(array_unique(array_column($calls, 0)));
        $rules = array_map(static fn (string $name): array => ['command' => $name, 'fault' => 'record', 'times' => PHP_INT_MAX], $names);
        $server = $this->stoppedAtTheEnd(ScriptedServer::following($one, $rules));
        $redis = new \ResilientRedis($server->endpoint(), ['prefix' => 'p:', 'exceptions' => false]);
        $plain = new \ResilientRedis($one->endpoint(), ['exceptions' => false]);
        $known = array_flip(array_map('strtoupper', array_column((array) $one->command('COMMAND'), 0)));
        $calls = array_values(array_filter($calls, static fn (array $call): bool => isset($known[$call[0]])));
        $compared = 0;
        for ($round = 0; $round < 3_000; $round++) {
            $call = $calls[mt_rand(0, count($calls) - 1)];
            $words = self::varied($call);
            $keys = self::isRefused($plain, $words) ? null : $this->keysOf($one, $words);
            // Of scripts that are not there it does not say that they were promised more keys than came.
            if ($keys === null || ($keys === [] && ($words[2] ?? '') !== '0')) {
                continue;
            }
            $reply = $redis->executeCommand(new RawCommand($words[0], array_slice($words, 1)));
            $sent = $server->recorded();
            self::assertInstanceOf(Error::class, $reply, $this->drawn($round, ...$words));
            self::assertCount(1, $sent, $this->drawn($round, ...$words));
            $prefixed = [];
            foreach ($sent[0] as $place => $word) {
                if ($word !== $words[$place]) {
                    self::assertSame("p:{$words[$place]}", $word, $this->drawn($round, ...$words));
                    $prefixed[] = $words[$place];
                }
            }
            sort($keys);
            sort($prefixed);
            self::assertSame($keys, $prefixed, $this->drawn($round, ...$words));
            $compared++;
        }
        self::assertGreaterThan(500, $compared, "seed $this->seed");
    }

    /** Whether the server says that a command is malformed: where its keys would be nobody can say. It is run so that nothing blocks. */
    private static function isRefused(\ResilientRedis $redis, array $words): bool
    {
        try {
            $pipeline = $redis->pipeline(['atomic' => true]);
            $pipeline->executeCommand(new RawCommand($words[0], array_slice($words, 1)));
            $reply = $pipeline->execute()[0] ?? null;
        } catch (\ResilientRedis\Exception) {
            return true;
        }

        return $reply instanceof Error && str_starts_with($reply->getMessage(), 'ERR ') && $reply->getMessage() !== 'ERR no such key';
    }

    /** @return ?list<string> null where the server finds none, or fault with the command */
    private function keysOf(RedisServer $server, array $words): ?array
    {
        try {
            return (array) $server->command('COMMAND', 'GETKEYS', ...$words);
        } catch (\RuntimeException) {
            return null;
        }
    }

    /** A call with other words in it: some of them change, go, come twice, or are words that mean something. */
    private static function varied(array $call): array
    {
        $meaningful = ['0', '1', '2', '3', '-1', 'KEYS', 'STORE', 'STOREDIST', 'STREAMS', 'COUNT', 'LIMIT', 'GET', 'BY', 'MATCH', 'WEIGHTS', 'ID', 'x'];
        $words = $call;
        // The subcommand, too, is the command's name.
        $first = in_array($words[0], ['XGROUP', 'XINFO', 'OBJECT', 'MEMORY'], true) ? 2 : 1;
        for ($i = mt_rand(0, 3); $i > 0 && count($words) > $first; $i--) {
            $at = mt_rand($first, count($words) - 1);
            $word = mt_rand(0, 1) === 0 ? $meaningful[mt_rand(0, count($meaningful) - 1)] : 'w' . mt_rand(0, 99);
            match (mt_rand(0, 4)) {
                0 => $words[$at] = $word,
                1 => array_splice($words, $at, 1),
                2 => array_splice($words, $at, 0, [$words[$at]]),
                3 => array_splice($words, $at, 0, [$word]),
                4 => $words[$at] = strtolower($words[$at]),
            };
        }

        return array_values($words);
    }

    /**
     * @param list<string> $keys
     * @return list<string>
     */
    private static function splittable(array $keys): array
    {
        $some = [];
        for ($i = mt_rand(1, 12); $i > 0; $i--) {
            $some[] = $keys[mt_rand(0, count($keys) - 1)];
        }
        $name = ['MGET', 'MSET', 'MSET', 'MGET', 'DEL', 'UNLINK', 'EXISTS', 'TOUCH'][mt_rand(0, 7)];
        if ($name !== 'MSET') {
            return [$name, ...$some];
        }
        // What is set twice by one command has the last of its values, in whatever slot.
        $pairs = [];
        foreach ($some as $key) {
            array_push($pairs, $key, (string) mt_rand());
        }

        return [$name, ...$pairs];
    }

    /** Any bytes, of which braces are many. */
    private static function key(): string
    {
        $key = '';
        for ($i = mt_rand(1, 12); $i > 0; $i--) {
            $key .= match (mt_rand(0, 5)) {
                0 => '{',
                1 => '}',
                2 => chr(mt_rand(0, 255)),
                default => chr(mt_rand(97, 122)),
            };
        }

        return $key;
    }

    /** A key that is in the same slot as another one. */
    private static function in(string $key, int $slot): string
    {
        return '{' . Slot::tag([$slot]) . '}' . bin2hex($key);
    }

    private function drawn(int $round, string ...$words): string
    {
        return "seed $this->seed (PROPERTIES_SEED), round $round: " . json_encode($words, JSON_INVALID_UTF8_SUBSTITUTE) . ' ' . bin2hex(implode(' ', $words));
    }
}
