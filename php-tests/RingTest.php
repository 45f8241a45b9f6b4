<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ClientException;
use ResilientRedis\ConfigurationException;
use ResilientRedis\Iterator\Keyspace;
use ResilientRedis\TimeoutException;
use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\Scratch;
use Tests\Support\Wait;

/** A list of servers that are no cluster under `'cluster' => 'predis'`: keys lie where the real Predis has them. */
final class RingTest extends RedisTestCase
{
    private const KEYS = 10_000;

    /** @var list<RedisServer> */
    private static array $servers = [];

    private static string $folder;

    public static function setUpBeforeClass(): void
    {
        self::$folder = Scratch::folder('ring');
        for ($i = 0; $i < 3; $i++) {
            self::$servers[] = RedisServer::start(['unixsocket' => self::$folder . "/$i.sock"]);
        }
    }

    public static function tearDownAfterClass(): void
    {
        array_walk(self::$servers, static fn (RedisServer $server) => $server->kill());
        self::$servers = [];
        Scratch::remove(self::$folder);
        parent::tearDownAfterClass();
    }

    protected function setUp(): void
    {
        parent::setUp();
        foreach (self::$servers as $server) {
            $server->command('FLUSHALL');
        }
    }

    /** @return list<string> */
    private static function nodes(): array
    {
        return array_map(static fn (RedisServer $server): string => $server->endpoint(), self::$servers);
    }

    /** @param array<string, mixed> $options */
    private static function ring(array $options = []): ResilientRedis
    {
        return new ResilientRedis(self::nodes(), ['cluster' => 'predis'] + $options);
    }

    /**
     * Keys of all kinds: plain, with tags, with braces that mark nothing, of any bytes.
     *
     * @return list<string>
     */
    private static function keys(): array
    {
        mt_srand(20_250);
        $keys = ['', '{', '}', '{}', '}{', '{}a', 'a{}{b}', "\0", "\xff{\0}", '0', '-1', '1.50'];
        while (count($keys) < self::KEYS) {
            $number = count($keys);
            $bytes = pack('N*', mt_rand(), mt_rand(), mt_rand());
            $keys[] = match ($number % 8) {
                0 => "user:$number",
                1 => "session:$number:" . md5((string) $number),
                2 => "{user:$number}:profile",
                3 => "cart{" . $bytes . '}' . $number,
                4 => $bytes,
                5 => "a{}b$number",
                6 => "$number{open",
                7 => str_repeat('k', $number % 300) . $number,
            };
        }

        return $keys;
    }

    /**
     * What the real Predis answers.
     *
     * @param list<mixed> $nodes
     * @param array<string, mixed> $options
     * @param list<string> $keys
     * @return list<string|null>
     */
    private static function predis(string $do, array $nodes, array $options, array $keys): array
    {
        $task = self::$folder . '/task';
        $options = ['cluster' => 'predis'] + $options;
        file_put_contents($task, serialize(['nodes' => $nodes, 'options' => $options, 'keys' => $keys, 'do' => $do]));
        $process = new Process([PHP_BINARY, '-n', __DIR__ . '/Support/bin/predis-ring.php', $task]);
        self::assertSame(0, $process->wait(60.0), $process->errors() . substr($process->output(), 0, 2_000));

        return unserialize($process->output());
    }

    /** @return iterable<string, array{\Closure(list<string>, string): list<mixed>, array<string, mixed>}> */
    public static function rings(): iterable
    {
        yield 'three nodes' => [static fn (array $nodes): array => $nodes, []];
        yield 'in another order, as arrays' => [static fn (array $nodes): array => array_map(
            static fn (string $node): array => ['host' => parse_url($node, PHP_URL_HOST), 'port' => parse_url($node, PHP_URL_PORT)],
            array_reverse($nodes),
        ), []];
        yield 'weights, aliases and a database' => [static fn (array $nodes): array => [
            "$nodes[0]?weight=1&alias=first&database=5", "$nodes[1]?weight=4&alias=second&database=5", "$nodes[2]?weight=2&database=5",
        ], []];
        yield 'a database each' => [static fn (array $nodes): array => ["$nodes[0]?database=1", "$nodes[1]?database=2&timeout=3", $nodes[2]], []];
        yield 'one weight among nodes without' => [static fn (array $nodes): array => [$nodes[0], "$nodes[1]?weight=350", $nodes[2]], []];
        yield 'sockets' => [static fn (array $nodes, string $folder): array => [
            "unix:$folder/0.sock", ['scheme' => 'unix', 'path' => "$folder/1.sock"], $nodes[2],
        ], []];
        yield 'names with capitals' => [static fn (array $nodes): array => [
            str_replace('127.0.0.1', 'LocalHost', $nodes[0]), str_replace('127.0.0.1', 'localhost', $nodes[1]), $nodes[2],
        ], []];
        yield 'a node twice' => [static fn (array $nodes): array => [$nodes[0], $nodes[1], "$nodes[0]?weight=150"], []];
        yield 'a prefix' => [static fn (array $nodes): array => $nodes, ['prefix' => 'app:{x']];
        yield 'shared parameters' => [static fn (array $nodes): array => $nodes, ['parameters' => ['database' => 3, 'weight' => 7]]];
    }

    /**
     * @dataProvider rings
     * @param \Closure(list<string>, string): list<mixed> $ring
     * @param array<string, mixed> $options
     */
    public function test_ten_thousand_keys_lie_where_predis_has_put_them_and_finds_them(\Closure $ring, array $options): void
    {
        $nodes = $ring(self::nodes(), self::$folder);
        $keys = self::keys();
        self::assertSame(array_fill(0, self::KEYS, 'OK'), self::predis('write', $nodes, $options, $keys));
        $redis = new ResilientRedis($nodes, ['cluster' => 'predis'] + $options);
        $expected = array_map(static fn (string $key): string => 'of Predis: ' . md5($key), $keys);
        self::assertSame([], array_diff_assoc($expected, $redis->mget($keys)), 'what Predis wrote is found');
        self::assertSame(count(array_unique($keys)), $redis->dbsize());

        $redis->flushall();
        foreach (array_chunk($keys, 1_000) as $chunk) {
            $redis->pipeline(static function ($pipeline) use ($chunk): void {
                foreach ($chunk as $key) {
                    $pipeline->set($key, 'ours: ' . md5($key));
                }
            });
        }
        $expected = array_map(static fn (string $key): string => 'ours: ' . md5($key), $keys);
        self::assertSame([], array_diff_assoc($expected, self::predis('read', $nodes, $options, $keys)), 'Predis finds what we wrote');
        self::assertSame(count(array_unique($keys)), $redis->dbsize(), 'nothing lies twice');
    }

    /** @return iterable<string, array{list<string>}> */
    public static function lists(): iterable
    {
        $many = static fn (int $count, string $node): array => array_map(
            static fn (int $number): string => sprintf($node, $number, 7_000 + $number),
            range(1, $count),
        );
        yield 'two' => [$many(1, 'tcp://10.0.0.%d:6379')];
        yield 'twenty' => [$many(20, 'tcp://redis-%d.example.internal:%d')];
        yield 'a hundred of growing weight' => [array_map(
            static fn (int $number): string => "tcp://10.1.0.$number:6379?weight=" . ($number * $number),
            range(1, 100),
        )];
        yield 'weights that make halves' => [['tcp://10.0.0.1:1?weight=1', 'tcp://10.0.0.2:2?weight=3', 'tcp://10.0.0.3:3?weight=664']];
        yield 'points that meet' => [['tcp://node1360.example:6381', 'tcp://node797.example:6385']];
        yield 'the other way round' => [['tcp://node797.example:6385', 'tcp://node1360.example:6381']];
        yield 'addresses of IPv6 and names with capitals' => [['tcp://[2001:DB8::1]:6379', 'tcp://[::1]:1', 'tcp://Cache.Example:6379']];
    }

    /**
     * @dataProvider lists
     * @param list<string> $others that nobody asks for anything
     */
    public function test_ten_thousand_keys_are_placed_as_predis_places_them_on_longer_rings(array $others): void
    {
        // One that answers has to be there, and does not have to have many of the keys.
        $nodes = [self::nodes()[0] . '?weight=100', ...$others];
        $keys = array_map(static fn (int $number): string => "key:$number", range(1, self::KEYS));
        $redis = new ResilientRedis($nodes, ['cluster' => 'predis']);
        self::assertSame('ring', $redis->topology()['mode'] ?? 'ring');
        $nodeOf = static fn (string $key): string => $redis->getClientBy('key', $key)->topology()['endpoints'][0];
        $ours = array_map($nodeOf, $keys);
        $theirs = self::predis('place', $nodes, [], $keys);
        // Predis writes IPv6 without brackets; and an address is one in small letters here.
        $plain = static fn (string $node): string => strtolower(str_replace(['[', ']'], '', $node));
        self::assertSame([], array_diff_assoc(array_map($plain, $theirs), array_map($plain, $ours)));
        self::assertGreaterThan(1, count(array_unique($ours)));
    }

    /** @return iterable<string, array{int}> */
    public static function protocols(): iterable
    {
        yield 'RESP2' => [2];
        yield 'RESP3' => [3];
    }

    /** A key of each server. @return list<string> */
    private static function keyOfEach(ResilientRedis $redis): array
    {
        $found = [];
        for ($i = 0; count($found) < count(self::$servers); $i++) {
            $found[$redis->getClientBy('key', "k$i")->topology()['endpoints'][0]] ??= "k$i";
        }

        return array_map(static fn (RedisServer $server): string => $found[$server->address()], self::$servers);
    }

    /** @dataProvider protocols */
    public function test_commands_of_all_kinds_find_their_nodes(int $protocol): void
    {
        $redis = self::ring(['protocol' => $protocol]);
        [$a, $b, $c] = self::keyOfEach($redis);
        self::assertSame('OK', $redis->mset([$a => '1', $b => '2', $c => '3']));
        foreach ([$a, $b, $c] as $place => $key) {
            self::assertSame((string) ($place + 1), self::$servers[$place]->command('GET', $key));
        }
        self::assertSame(['3', null, '1', '2'], $redis->mget([$c, 'none', $a, $b]));
        self::assertSame(3, $redis->exists($a, $b, $c));
        self::assertSame(3, $redis->dbsize());
        self::assertSame(['2', 'PONG', 4, ['1', '4']], $redis->pipeline(static function ($pipeline) use ($a, $b, $c): void {
            $pipeline->get($b);
            $pipeline->ping();
            $pipeline->incr($c);
            $pipeline->mget([$a, $c]);
        }));
        $replies = $redis->transaction(static function ($transaction) use ($b): void {
            $transaction->incr($b);
            $transaction->set("{{$b}}:copy", 'v');
        });
        self::assertSame(3, $replies[0], self::seen($replies));
        self::assertSame('v', self::$servers[1]->command('GET', "{{$b}}:copy"));
        $redis->watch($b);
        $redis->multi();
        $redis->incr($b);
        self::assertSame([4], $redis->exec());
        self::assertSame('x4', $redis->eval("return 'x' .. redis.call('get', KEYS[1])", 1, $b));
        self::assertEqualsCanonicalizing([$a, $b, $c, "{{$b}}:copy"], iterator_to_array(new Keyspace($redis), false));
        self::assertEqualsCanonicalizing([$a, $b, $c, "{{$b}}:copy"], $redis->keys('*'));
        $exception = self::thrown(ClientException::class, static fn () => $redis->rename($a, $b));
        self::assertStringContainsString('at different nodes', $exception->getMessage());
        self::assertSame(2, $redis->del($a, $c));
        self::assertSame(2, $redis->dbsize());
    }

    public function test_the_nodes_are_named_and_can_be_had_one_by_one(): void
    {
        $redis = new ResilientRedis([
            self::nodes()[0] . '?alias=first', self::nodes()[1] . '?alias=second', self::nodes()[2] . '?alias=third&weight=200',
        ], ['cluster' => 'predis']);
        $keys = self::keyOfEach($redis);
        $redis->mset(array_combine($keys, ['1', '2', '3']));
        $addresses = array_map(static fn (RedisServer $server): string => $server->address(), self::$servers);
        $topology = $redis->topology();
        self::assertSame('ring', $topology['mode'], self::seen($topology));
        self::assertSame($addresses, array_column($topology['shards'], 'primary'));
        self::assertSame([96, 96, 192], array_column($topology['shards'], 'points'));
        self::assertSame([], array_diff($addresses, array_column($redis->stats()['pools'], 'node')));
        $values = [];
        foreach ($redis as $id => $node) {
            $values[$id] = $node->get($keys[(int) array_search($id, $addresses, true)]);
        }
        self::assertSame(array_combine($addresses, ['1', '2', '3']), $values);
        self::assertSame('2', $redis->getClientBy('alias', 'second')->get($keys[1]));
        self::assertSame('3', $redis->getClientBy('id', $addresses[2])->get($keys[2]));
        self::assertSame('1', $redis->getClientBy('key', $keys[0])->get($keys[0]));
    }

    public function test_a_message_is_heard_whichever_node_its_publisher_has_used(): void
    {
        $redis = self::ring();
        $keys = self::keyOfEach($redis);
        $heard = [];
        $loop = $redis->pubSubLoop(['subscribe' => 'news']);
        foreach ($loop as $message) {
            if ($message->kind === 'subscribe') {
                foreach ($keys as $key) {
                    $redis->set($key, 'v');
                    self::assertSame(1, self::ring()->publish('news', $key));
                }
                continue;
            }
            $heard[] = $message->payload;
            if (count($heard) === count($keys)) {
                $loop->stop();
            }
        }
        self::assertSame($keys, array_slice($heard, 0, count($keys)));
    }

    public function test_a_node_that_is_killed_and_started_again_is_waited_for_while_the_others_go_on(): void
    {
        $redis = self::ring(['command_timeout' => 8]);
        [$a, $b, $c] = self::keyOfEach($redis);
        $redis->mset([$a => '0', $b => '0', $c => '0']);
        self::$servers[1]->kill();
        $longest = 0.0;
        for ($i = 0; $i < 300; $i++) {
            $begun = Wait::now();
            $redis->incr($a);
            $redis->mget([$a, $c]);
            $longest = max($longest, Wait::now() - $begun);
        }
        self::assertLessThan(0.5, $longest, 'the other nodes were not hindered');
        $started = Wait::now();
        $exception = self::thrown(TimeoutException::class, static fn () => $redis->withOptions(['command_timeout' => 0.5])->get($b));
        self::assertLessThan(2.0, Wait::now() - $started);
        self::assertStringContainsString(self::$servers[1]->address(), $exception->getMessage());
        $code = '[, $nodes, $key] = $argv;
            $redis = new ResilientRedis(explode(",", $nodes), ["cluster" => "predis", "command_timeout" => 20]);
            echo "began\n", $redis->set($key, "after the restart");';
        $command = [PHP_BINARY, '-n', '-d', 'extension=' . Extension::path(), '-r', $code, implode(',', self::nodes()), $b];
        $late = new Process($command);
        Wait::until('the other process has begun', static fn (): bool => str_contains($late->output(), 'began'));
        usleep(300_000);
        self::$servers[1]->restart();
        self::assertSame([0, "began\nOK"], [$late->wait(), $late->output()], $late->errors());
        self::assertSame('after the restart', $redis->get($b));
        self::assertSame('300', $redis->get($a));
    }

    public function test_a_distributor_of_ones_own_is_refused_where_it_would_place_keys(): void
    {
        foreach ([new \stdClass(), static fn () => null, 'ketama'] as $distributor) {
            $exception = self::thrown(ConfigurationException::class, static fn () => self::ring(['distributor' => $distributor]));
            self::assertStringContainsString('option `distributor`', $exception->getMessage());
        }
        $exception = self::thrown(ConfigurationException::class, static fn () => new ResilientRedis(self::nodes(), ['cluster' => static fn () => null]));
        self::assertStringContainsString('option `cluster`', $exception->getMessage());
    }
}
