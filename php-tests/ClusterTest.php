<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\Iterator\Keyspace;
use Tests\Support\ClusterTestCase;
use Tests\Support\RedisCluster;
use Tests\Support\RedisServer;
use Tests\Support\Resharding;
use Tests\Support\Slot;
use Tests\Support\Wait;

/** A Redis Cluster that nothing happens to: where commands go, and what is split and put together. */
final class ClusterTest extends ClusterTestCase
{
    public function test_the_cluster_of_the_tests_is_one_by_the_words_of_its_nodes(): void
    {
        $cluster = self::cluster();
        self::assertCount(3, $cluster->primaries());
        foreach ($cluster->primaries() as $primary) {
            self::assertCount(1, $cluster->replicasOf($primary));
        }
        $keys = ['a', '{x}y', '{}a', 'a{b}{c}', '', '{', '}{', 'a{}{b}', "\0\xFF{\u{E9}}", '{{a}}'];
        for ($i = 0; $i < 500; $i++) {
            $keys[] = random_bytes(random_int(1, 30)) . ['', '{', '}', '{' . random_bytes(2) . '}'][$i % 4];
        }
        foreach ($keys as $key) {
            self::assertSame($cluster->nodes()[0]->command('CLUSTER', 'KEYSLOT', $key), Slot::of($key), bin2hex($key));
        }
        [$from, $to] = $cluster->primaries();
        $tag = $cluster->tagOf($from);
        $from->command('SET', "{{$tag}}k", 'v');
        $resharding = new Resharding($cluster);
        $resharding->move([Slot::of($tag)], $from, $to);
        self::assertSame($to, $cluster->primaryOf("{{$tag}}k"));
        self::assertSame('v', $to->command('GET', "{{$tag}}k"));
        $resharding->move([Slot::of($tag)], $to, $from);
        self::assertSame('v', $from->command('GET', "{{$tag}}k"));
        $cluster->waitUntilWhole();
    }

    /** @return iterable<string, array{\Closure(RedisCluster): mixed, array<string, mixed>}> */
    public static function configurations(): iterable
    {
        $one = static fn (RedisCluster $cluster): string => $cluster->endpoint();
        $all = static fn (RedisCluster $cluster): array => $cluster->endpoints();
        yield 'one endpoint and no word of a cluster' => [$one, []];
        yield 'parameters and no word of a cluster' => [static fn (RedisCluster $cluster): array => [
            'host' => $cluster->nodes()[1]->host, 'port' => $cluster->nodes()[1]->port,
        ], []];
        yield 'a replica' => [static fn (RedisCluster $cluster): string => $cluster->replicas()[0]->endpoint(), []];
        yield 'all nodes and no word of a cluster' => [$all, []];
        yield 'redis and one endpoint' => [$one, ['cluster' => 'redis']];
        yield 'redis and all nodes' => [$all, ['cluster' => 'redis']];
        yield 'redis and a dead node first' => [
            static fn (RedisCluster $cluster): array => ['tcp://127.0.0.1:1', $cluster->endpoint(2)],
            ['cluster' => 'redis'],
        ];
        yield 'redis-cluster' => [$one, ['cluster' => 'redis-cluster']];
        yield 'true' => [$one, ['cluster' => true]];
        yield 'predis and one configuration endpoint' => [$one, ['cluster' => 'predis']];
        yield 'predis and all nodes, which say what they are' => [$all, ['cluster' => 'predis']];
        yield 'replication, too' => [$all, ['cluster' => 'redis', 'replication' => true]];
        yield 'RESP3' => [$one, ['protocol' => 3]];
    }

    /**
     * @dataProvider configurations
     * @param array<string, mixed> $options
     */
    public function test_a_cluster_is_recognised_whatever_the_configuration_calls_it(\Closure $parameters, array $options): void
    {
        $redis = new ResilientRedis($parameters(self::cluster()), $options);
        for ($i = 0; $i < 50; $i++) {
            self::assertSame('OK', $redis->set("k$i", "v$i"));
            self::assertSame("v$i", self::cluster()->primaryOf("k$i")->command('GET', "k$i"), 'it lies where the cluster has it');
            self::assertSame("v$i", $redis->get("k$i"));
        }
        $topology = $redis->topology();
        self::assertSame('cluster', $topology['mode'], self::seen($topology));
        foreach (self::cluster()->nodes() as $node) {
            self::assertStringContainsString((string) $node->port, (string) json_encode($topology));
        }
    }

    /** @dataProvider protocols */
    public function test_commands_of_all_kinds_go_where_their_key_lies(int $protocol): void
    {
        $redis = self::clientOf(self::cluster(), ['protocol' => $protocol]);
        for ($i = 0; $i < 30; $i++) {
            self::assertSame(1, $redis->incr("n$i"));
            self::assertSame(2, $redis->hset("h$i", ['a' => '1', 'b' => '2']));
            self::assertSame(['a' => '1', 'b' => '2'], $redis->hgetall("h$i"));
            self::assertSame(2, $redis->rpush("l$i", ['x', 'y']));
            self::assertSame(['x', 'y'], $redis->lrange("l$i", 0, -1));
            self::assertSame(1, $redis->sadd("s$i", ['m']));
            self::assertSame(1, $redis->zadd("z$i", ['m' => 1.5]));
            self::assertSame(1.5, (float) $redis->zscore("z$i", 'm'));
            self::assertIsString($redis->xadd("x$i", ['f' => 'v']));
            self::assertSame('string', (string) $redis->type("n$i"));
            self::assertSame('1', $redis->getset("n$i", '7'));
            self::assertSame(1, (int) $redis->expire("n$i", 100));
            self::assertSame(2, $redis->zunionstore("{z$i}both", ["z$i", "{z$i}other"]) + $redis->zadd("{z$i}other", ['o' => 1]));
            self::assertSame('OK', $redis->executeRaw(['SET', "raw$i", 'v']));
            self::assertSame('v', self::cluster()->primaryOf("raw$i")->command('GET', "raw$i"));
            self::assertSame(1, $redis->object('REFCOUNT', "h$i"));
        }
        self::assertSame('PONG', (string) $redis->ping());
        self::assertSame('hello', $redis->echo('hello'));
        self::assertIsArray($redis->time());
    }

    public function test_no_key_is_first_asked_for_at_the_wrong_node(): void
    {
        $cluster = self::cluster();
        $redis = self::clientOf($cluster);
        $refusals = static fn (): array => array_map(
            static fn (RedisServer $node): string => $node->info('errorstats')['errorstat_MOVED'] ?? '',
            $cluster->nodes(),
        );
        $redis->get('k');
        $before = $refusals();
        $keys = ['', '{', '}', '{}', '{}a', 'a{}{b}', '{{a}}', 'a{b}{c}', '}{a}', "\0{\0}"];
        for ($i = 0; $i < 1000; $i++) {
            $keys[] = random_bytes(random_int(1, 8)) . ['', '{', '{' . random_bytes(3) . '}', '}{'][$i % 4] . random_bytes(random_int(1, 8));
        }
        $values = [];
        foreach ($keys as $number => $key) {
            $redis->set($key, $values[] = "v$number");
        }
        self::assertSame($values, $redis->mget($keys));
        self::assertSame(count($keys), $redis->exists($keys));
        self::assertSame($before, $refusals());
    }

    public function test_a_cluster_can_be_asked_about_itself(): void
    {
        $redis = self::clientOf(self::cluster());
        self::assertSame(Slot::of('{a}b'), $redis->cluster('KEYSLOT', '{a}b'));
        self::assertStringContainsString('cluster_state:ok', (string) $redis->cluster('INFO'));
        self::assertCount(3, $redis->cluster('SLOTS'));
        self::assertSame('cluster', $redis->info('server')['Server']['redis_mode'] ?? $redis->info('server')['redis_mode']);
    }

    /** @dataProvider protocols */
    public function test_commands_about_many_keys_are_split_and_their_replies_put_together(int $protocol): void
    {
        $redis = self::clientOf(self::cluster(), ['protocol' => $protocol]);
        $pairs = [];
        for ($i = 0; $i < 100; $i++) {
            $pairs["k$i"] = "v$i";
        }
        self::assertSame('OK', (string) $redis->mset($pairs));
        $keys = array_keys($pairs);
        self::assertSame(array_values($pairs), $redis->mget($keys));
        self::assertSame(['v7', null, 'v3', 'v7'], $redis->mget(['k7', 'none', 'k3', 'k7']), 'in the order of the call');
        self::assertSame(['v5'], $redis->mget('k5'));
        self::assertSame(101, $redis->exists([...$keys, 'none', 'k0']));
        self::assertSame(100, $redis->touch([...$keys, 'none']));
        self::assertSame(10, $redis->unlink(array_slice($keys, 0, 10)));
        self::assertSame(90, $redis->del($keys));
        self::assertSame(0, $redis->exists($keys));
        self::assertSame(array_fill(0, 100, null), $redis->mget($keys));
    }

    public function test_a_reply_that_is_put_together_from_a_key_of_another_type_has_null_in_its_place(): void
    {
        $redis = self::clientOf(self::cluster());
        $redis->rpush('list', ['x']);
        $redis->mset(['a' => '1', 'b' => '2', 'c' => '3']);
        self::assertSame(['1', null, '2', '3'], $redis->mget(['a', 'list', 'b', 'c']));
    }

    /** @dataProvider protocols */
    public function test_what_is_asked_of_all_is_asked_of_every_primary(int $protocol): void
    {
        $redis = self::clientOf(self::cluster(), ['protocol' => $protocol]);
        for ($i = 0; $i < 90; $i++) {
            $redis->set("k$i", 'v');
        }
        self::assertSame(90, $redis->dbsize());
        $keys = $redis->keys('k1*');
        self::assertCount(11, $keys);
        self::assertEqualsCanonicalizing(['k1', ...array_map(static fn (int $i): string => "k1$i", range(0, 9))], $keys);
        self::assertStringStartsWith('k', $redis->randomkey());
        foreach ([$redis->scan(0, ['COUNT' => 7]), $redis->scan('0')] as [$cursor]) {
            self::assertIsNumeric($cursor);
        }
        [$cursor, $seen] = ['0', []];
        do {
            [$cursor, $page] = $redis->scan($cursor, ['COUNT' => 7, 'MATCH' => 'k*']);
            array_push($seen, ...$page);
        } while ((string) $cursor !== '0');
        self::assertCount(90, array_unique($seen));
        self::assertCount(90, array_unique(iterator_to_array(new Keyspace($redis, 'k*', 5), false)));
        self::assertSame('OK', (string) $redis->flushall());
        self::assertSame(0, $redis->dbsize());
        foreach (self::cluster()->primaries() as $primary) {
            self::assertSame(0, $primary->command('DBSIZE'));
        }
        self::assertSame('OK', (string) $redis->flushdb());
    }

    /** @dataProvider protocols */
    public function test_scripts_run_where_their_keys_lie_and_are_loaded_everywhere(int $protocol): void
    {
        $redis = self::clientOf(self::cluster(), ['protocol' => $protocol]);
        $sha = $redis->script('LOAD', "return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}");
        foreach (self::cluster()->primaries() as $primary) {
            self::assertSame([1], $primary->command('SCRIPT', 'EXISTS', $sha));
        }
        foreach (self::tags(self::cluster()) as $tag) {
            self::assertSame(["{{$tag}}n", 'x', 1], $redis->evalsha($sha, 1, "{{$tag}}n", 'x'));
            self::assertSame('2', $redis->eval("return redis.call('INCR', KEYS[1]) .. ''", 1, "{{$tag}}n"));
        }
        self::assertSame(7, $redis->eval('return 7', 0));
        self::assertSame([1], $redis->script('EXISTS', $sha));
        $redis->script('FLUSH');
        foreach (self::cluster()->primaries() as $primary) {
            self::assertSame([0], $primary->command('SCRIPT', 'EXISTS', $sha));
        }
    }

    /** @dataProvider protocols */
    public function test_messages_come_whatever_node_they_were_published_at(int $protocol): void
    {
        $redis = self::clientOf(self::cluster(), ['protocol' => $protocol]);
        $nodes = self::cluster()->nodes();
        $payloads = [];
        $redis->pubSubLoop(['subscribe' => 'news'], function (object $loop, object $message) use ($nodes, $redis, &$payloads): ?bool {
            if ($message->kind === 'subscribe') {
                foreach ($nodes as $number => $node) {
                    $node->command('PUBLISH', 'news', "node $number");
                }
                $redis->publish('news', 'client');
            } else {
                $payloads[] = $message->payload;
            }

            return count($payloads) === count($nodes) + 1 ? false : null;
        });
        $all = array_map(static fn (int $number): string => "node $number", array_keys($nodes));
        self::assertEqualsCanonicalizing([...$all, 'client'], $payloads);
        foreach (self::tags(self::cluster()) as $tag) {
            $got = null;
            $redis->pubSubLoop(['ssubscribe' => "{{$tag}}"], static function (object $loop, object $message) use ($redis, $tag, &$got): ?bool {
                if ($message->kind === 'ssubscribe') {
                    $redis->spublish("{{$tag}}", 'sharded');

                    return null;
                }
                $got = $message->payload;

                return false;
            });
            self::assertSame('sharded', $got, "the channel {{$tag}}");
        }
    }

    public function test_a_prefix_is_part_of_what_chooses_the_slot(): void
    {
        foreach (['app:', '{app}:'] as $prefix) {
            $redis = self::clientOf(self::cluster(), ['prefix' => $prefix]);
            for ($i = 0; $i < 20; $i++) {
                $redis->set("k$i", "v$i");
                self::assertSame("v$i", self::cluster()->primaryOf("{$prefix}k$i")->command('GET', "{$prefix}k$i"));
            }
            self::assertSame(['v1', 'v2'], $redis->mget(['k1', 'k2']));
        }
        self::assertSame(1, $redis->sunionstore('a', ['b']) + $redis->sadd('b', ['m']), 'a tag in the prefix has all keys in one slot');
    }

    /** @dataProvider protocols */
    public function test_options_that_do_not_go_with_a_cluster_are_said_with_their_names(int $protocol): void
    {
        $cluster = self::cluster();
        $wrong = [
            'option `database`: given 2, accepted: 0, since the servers are a Redis Cluster' => ['parameters' => ['database' => 2]],
            'option `allowed_nodes`: given one that leaves out every primary of the cluster' => ['allowed_nodes' => ['192.0.2.0/24']],
        ];
        foreach ($wrong as $text => $options) {
            // By a name, which no node has for itself: what is given is always allowed.
            $redis = new ResilientRedis("tcp://localhost:{$cluster->nodes()[0]->port}", $options + ['protocol' => $protocol, 'command_timeout' => 5.0]);
            $calls = [
                static fn () => $redis->set('k', 'v'),
                static fn () => $redis->pipeline()->set('k', 'v')->execute(),
                static fn () => $redis->transaction()->set('k', 'v')->execute(),
                static fn () => $redis->connect(),
            ];
            foreach ($calls as $call) {
                $error = self::thrown(\ResilientRedis\ConfigurationException::class, $call);
                self::assertStringStartsWith($text, $error->getMessage());
            }
            $used = 0;
            for ($i = 0; $i < 400; $i++) {
                self::thrown(\ResilientRedis\ConfigurationException::class, $calls[1]);
                $used = $i === 99 ? memory_get_usage() : $used;
            }
            self::assertLessThan(16 << 10, memory_get_usage() - $used, 'bytes that stay of 300 pipelines');
        }
    }

    public function test_a_node_is_chosen_by_slot_key_id_or_role_and_a_loop_meets_every_primary(): void
    {
        $cluster = self::cluster();
        $redis = self::clientOf($cluster);
        $port = static fn (ResilientRedis $client): int => (int) $client->config('GET', 'port')['port'];
        foreach ($cluster->primaries() as $primary) {
            $tag = $cluster->tagOf($primary);
            self::assertSame($primary->port, $port($redis->getClientBy('slot', Slot::of($tag))));
            self::assertSame($primary->port, $port($redis->getClientBy('key', "{{$tag}}k")));
            self::assertSame($primary->port, $port($redis->getClientBy('id', $primary->address())));
            self::assertSame($primary->port, $port($redis->getClientBy('command', $redis->createCommand('get', ["{{$tag}}k"]))));
            $mset = $redis->createCommand('mset', ["{{$tag}}k", 'v', "{{$tag}}l", 'w']);
            self::assertSame($primary->port, $port($redis->getClientBy('COMMAND', $mset)));
        }
        [$a, $b] = self::tags($cluster);
        $crossing = $redis->createCommand('mget', ["{{$a}}k", "{{$b}}k"]);
        $error = self::thrown(\ResilientRedis\ClientException::class, static fn () => $redis->getClientBy('command', $crossing));
        self::assertStringStartsWith("MGET leads to no single node: its keys `{{$a}}k` and `{{$b}}k` are in different slots", $error->getMessage());
        foreach ([static fn () => $redis->select(2), static fn () => $redis->pipeline()->select(2)->execute()] as $select) {
            $error = self::thrown(\ResilientRedis\NotSupportedException::class, $select);
            self::assertSame('SELECT: a cluster has database 0 only', $error->getMessage());
        }
        $error = self::thrown(\InvalidArgumentException::class, static fn () => $redis->getClientBy('command', $redis->createCommand('dbsize')));
        self::assertSame("getClientBy('command', ...): value: given one without keys, accepted: a command whose keys lead to a node", $error->getMessage());
        self::assertSame('slave', $redis->getClientBy('role', 'replica')->role()[0]);
        self::assertSame('master', $redis->getClientBy('role', 'master')->role()[0]);
        self::thrown(\InvalidArgumentException::class, static fn () => $redis->getClientBy('slot', Slot::COUNT));
        $ports = [];
        foreach ($redis as $id => $node) {
            $ports[$id] = $port($node);
        }
        $expected = [];
        foreach ($cluster->primaries() as $primary) {
            $expected[$primary->address()] = $primary->port;
        }
        ksort($ports);
        ksort($expected);
        self::assertSame($expected, $ports);
    }

    public function test_reads_go_to_replicas_where_that_is_wished(): void
    {
        $cluster = self::cluster();
        $redis = self::clientOf($cluster, ['read_from' => 'prefer-replica']);
        foreach ($cluster->primaries() as $primary) {
            $replica = $cluster->replicaOf($primary);
            $key = "{{$cluster->tagOf($primary)}}k";
            self::assertSame('OK', (string) $redis->set($key, 'v'));
            Wait::until('the replica has the data', static fn (): bool => in_array($key, (array) $replica->command('KEYS', '*'), true));
            $before = [$primary->calls('get'), $replica->calls('get')];
            for ($i = 0; $i < 20; $i++) {
                self::assertSame('v', $redis->get($key));
            }
            self::assertSame($before[0], $primary->calls('get'), 'reads at the primary');
            self::assertSame($before[1] + 20, $replica->calls('get'), 'reads at the replica');
        }
    }

    public function test_a_cluster_of_one_node_that_does_not_know_its_own_address_is_asked_where_it_was_found(): void
    {
        $cluster = $this->ownCluster(1, 0);
        self::assertSame('', ((array) $cluster->nodes()[0]->command('CLUSTER', 'SLOTS'))[0][2][0] ?? null);
        $redis = self::clientOf($cluster);
        self::assertSame('OK', (string) $redis->mset(['a' => '1', 'b' => '2']));
        self::assertSame(['1', '2'], $redis->mget(['a', 'b']));
    }

    public function test_every_node_is_given_the_password(): void
    {
        $cluster = $this->ownCluster(2, 0, ['requirepass' => 'secret']);
        $redis = self::clientOf($cluster, ['password' => 'secret']);
        self::assertSame('OK', (string) $redis->mset(['a' => '1', 'b' => '2', 'c' => '3', 'd' => '4']));
        self::assertSame(['1', '2', '3', '4'], $redis->mget(['a', 'b', 'c', 'd']));
    }

    public function test_a_push_consumer_is_refused_since_it_would_hear_of_a_part_of_the_keys_only(): void
    {
        foreach ([false, true] as $knows) {
            $redis = self::clientOf(self::cluster());
            if ($knows) {
                $redis->get('k');
            }
            $track = static fn (ResilientRedis $client) => $client->client('TRACKING', 'ON', 'BCAST');
            self::thrown(\ResilientRedis\NotSupportedException::class, static fn () => $redis->push($track));
            self::thrown(\ResilientRedis\NotSupportedException::class, static fn () => $redis->push()->current());
            self::thrown(\ResilientRedis\NotSupportedException::class, static fn () => $redis->push()->getClient()->connect());
            self::assertTrue($redis->set('k', 'v') == 'OK');
        }
    }
}
