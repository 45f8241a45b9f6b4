<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConfigurationException;
use Tests\Support\ClusterTestCase;
use Tests\Support\RedisCluster;
use Tests\Support\Resharding;
use Tests\Support\Slot;
use Tests\Support\Wait;

/** Option `node_address_map`: a cluster whose nodes announce what cannot be reached from here. */
final class ClusterAddressTest extends ClusterTestCase
{
    /** @dataProvider protocols */
    public function test_nodes_that_announce_names_which_nobody_resolves_are_reached_and_their_elected_ones_too(int $protocol): void
    {
        $cluster = $this->ownCluster(3, 1, ['cluster-preferred-endpoint-type' => 'hostname']);
        $map = [];
        foreach ($cluster->nodes() as $number => $node) {
            $node->command('CONFIG', 'SET', 'cluster-announce-hostname', "node-$number.invalid");
            $map["node-$number.invalid"] = $node->host;
        }
        self::waitUntilAnnounced($cluster, '.invalid');
        $options = ['node_address_map' => $map, 'allowed_nodes' => [$cluster->nodes()[0]->host], 'protocol' => $protocol];
        $redis = self::clientOf($cluster, $options);
        $tags = self::tags($cluster);
        foreach ($tags as $number => $tag) {
            self::assertSame(1, $redis->incr("{{$tag}}n"));
        }
        $shown = array_column($redis->topology()['shards'], 'primary');
        self::assertSame([], preg_grep('/invalid/', $shown), implode(' ', $shown));

        [$from, $to] = $cluster->primaries();
        (new Resharding($cluster))->move([Slot::of($tags[0])], $from, $to);
        self::assertSame(2, $redis->incr("{{$tags[0]}}n"), 'MOVED names a host, too');
        $to->kill();
        self::assertSame(3, $redis->incr("{{$tags[0]}}n"), 'the elected one');
        self::assertSame('2', $redis->pipeline()->incr("{{$tags[1]}}n")->get("{{$tags[1]}}n")->execute()[1]);
    }

    public function test_nodes_that_announce_ports_where_nobody_is_are_reached(): void
    {
        $cluster = $this->ownCluster(3, 0);
        $map = [];
        foreach ($cluster->nodes() as $number => $node) {
            $announced = 50_001 + $number;
            $node->command('CONFIG', 'SET', 'cluster-announce-port', $announced);
            $map["$node->host:$announced"] = "$node->host:$node->port";
        }
        self::waitUntilAnnounced($cluster, '5000');
        $redis = self::clientOf($cluster, ['node_address_map' => $map]);
        $slot = Slot::of('k');
        $from = $cluster->ownerOf($slot);
        $to = $cluster->primaries()[$from === $cluster->primaries()[0] ? 1 : 0];
        self::assertEquals('OK', $redis->set('k', 'v'));
        (new Resharding($cluster))->move([$slot], $from, $to);
        self::assertSame('v', $redis->get('k'));
        self::assertSame(['v', null], $redis->mget(['k', 'other']));
        self::assertCount(3, $redis->topology()['shards']);

        $blind = self::clientOf($cluster, ['command_timeout' => 1.0]);
        self::thrown(ResilientRedis\ConnectionException::class, static fn () => $blind->get('k'));
    }

    public function test_what_is_no_map_is_refused(): void
    {
        $wrong = ['10.0.0.1:1', ['10.0.0.1:1'], ['10.0.0.1:1' => 'tcp://h:1'], ['h:0' => 'h:1'], ['h' => 1], static fn () => 'h:1'];
        foreach ($wrong as $value) {
            $error = self::thrown(ConfigurationException::class, static fn () => new ResilientRedis('h:1', ['node_address_map' => $value]));
            self::assertStringContainsString('node_address_map', $error->getMessage());
        }
    }

    private static function waitUntilAnnounced(RedisCluster $cluster, string $what): void
    {
        Wait::until('all nodes have heard what the others announce', static function () use ($cluster, $what): bool {
            foreach ($cluster->running() as $node) {
                foreach ($node->command('CLUSTER', 'SLOTS') as $range) {
                    foreach (array_slice($range, 2) as [$host, $port]) {
                        if (!str_contains("$host:$port", $what)) {
                            return false;
                        }
                    }
                }
            }

            return true;
        }, 15.0);
    }
}
