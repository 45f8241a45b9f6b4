<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use Tests\Support\ClusterTestCase;
use Tests\Support\Resharding;
use Tests\Support\Slot;

/** A Redis Cluster whose slots move and whose nodes come and go while it is used. */
final class ReshardingTest extends ClusterTestCase
{
    /** @dataProvider protocols */
    public function test_a_slot_moves_back_and_forth_under_load_of_all_kinds_and_nothing_fails(int $protocol): void
    {
        $cluster = self::cluster();
        [$from, $to] = $cluster->primaries();
        $tag = $cluster->tagOf($from);
        $counter = $this->load($cluster, 'increments', [$tag], ['protocol' => $protocol]);
        $loads = [$counter];
        for ($i = 0; $i < 2; $i++) {
            $loads[] = $this->load($cluster, 'everything', [$tag], ['protocol' => $protocol]);
        }
        // A pause between the keys: all meet a slot of which each node has a part.
        $resharding = new Resharding($cluster, 0.002);
        for ($i = 0; $i < 4; $i++) {
            $resharding->move([Slot::of($tag)], $from, $to);
            usleep(100_000);
            $resharding->move([Slot::of($tag)], $to, $from);
        }
        foreach ($loads as $load) {
            $load->stop();
            self::assertSame([], $load->failures());
        }
        self::assertSame($counter->ok(), (int) $from->command('GET', "{{$tag}}n"));
    }

    /** @dataProvider protocols */
    public function test_keys_of_a_slot_that_is_half_moved_are_found_at_both_nodes(int $protocol): void
    {
        $cluster = $this->ownCluster(3, 0);
        [$from, $to] = $cluster->primaries();
        $tag = $cluster->tagOf($from);
        [$slot, $a, $b] = [Slot::of($tag), "{{$tag}}a", "{{$tag}}b"];
        $redis = self::clientOf($cluster, ['protocol' => $protocol]);
        $redis->mset([$a => '1', $b => '2']);
        $to->command('CLUSTER', 'SETSLOT', $slot, 'IMPORTING', $cluster->idOf($from));
        $from->command('CLUSTER', 'SETSLOT', $slot, 'MIGRATING', $cluster->idOf($to));
        $from->command('MIGRATE', $to->host, $to->port, $a, 0, 5000);

        self::assertSame(['1', '2'], [$redis->get($a), $redis->get($b)]);
        self::assertSame(['1', '2', null, '1'], $redis->pipeline()->get($a)->get($b)->get("{{$tag}}none")->get($a)->execute());
        self::assertSame([2, '2'], $redis->transaction()->incr($a)->get($a)->execute(), 'a transaction with a key that has moved');
        self::assertSame([3, '3'], $redis->transaction()->incr($b)->get($b)->execute(), 'a transaction with a key that has not');
        self::assertSame('2', $redis->eval("return redis.call('GET', KEYS[1])", 1, $a));
        self::assertSame(1, $redis->incr("{{$tag}}new"), 'new keys are made at the new node');
        self::assertSame(2, $to->command('CLUSTER', 'COUNTKEYSINSLOT', $slot));
        $hurried = self::clientOf($cluster, ['protocol' => $protocol, 'command_timeout' => 0.3]);
        $error = self::thrown(\ResilientRedis\Exception::class, static fn () => $hurried->mget([$a, $b]));
        self::assertStringContainsString('TRYAGAIN', $error->getMessage(), 'one node has one key and the other has the other');

        $from->command('MIGRATE', $to->host, $to->port, $b, 0, 5000);
        foreach ([$to, $from, $cluster->primaries()[2]] as $node) {
            $node->command('CLUSTER', 'SETSLOT', $slot, 'NODE', $cluster->idOf($to));
        }
        self::assertSame(['2', '3'], $redis->mget([$a, $b]));
    }

    public function test_a_slot_that_has_moved_is_asked_for_in_vain_once(): void
    {
        $cluster = self::cluster();
        [$from, $to] = $cluster->primaries();
        $tag = $cluster->tagOf($from);
        $redis = self::clientOf($cluster);
        $redis->set("{{$tag}}k", 'v');
        (new Resharding($cluster))->move([Slot::of($tag)], $from, $to);
        self::assertSame('v', $redis->get("{{$tag}}k"));
        $before = $from->info('errorstats')['errorstat_MOVED'] ?? '';
        for ($i = 0; $i < 10; $i++) {
            self::assertSame('v', $redis->get("{{$tag}}k"));
        }
        self::assertSame($before, $from->info('errorstats')['errorstat_MOVED'] ?? '');
        (new Resharding($cluster))->move([Slot::of($tag)], $to, $from);
        $cluster->waitUntilWhole();
    }

    public function test_shards_come_and_go_under_load_and_nothing_fails(): void
    {
        $cluster = $this->ownCluster();
        $loads = [$this->load($cluster, 'increments', self::tags($cluster))];
        // Tags in many slots: those of each shard move.
        $tags = array_map(static fn (int $number): string => "many$number", range(0, 30));
        $loads[] = $this->load($cluster, 'everything', $tags, ['protocol' => 3]);
        $resharding = new Resharding($cluster);
        $added = [$resharding->addShard(), $resharding->addShard()];
        foreach ($added as $primary) {
            self::assertGreaterThan(0, $primary->calls('set'), 'the new shard is used');
        }
        foreach ($added as $primary) {
            $resharding->removeShard($primary);
        }
        foreach ($loads as $load) {
            $load->stop();
            self::assertSame([], $load->failures());
        }
    }

    public function test_every_node_gets_a_new_address_one_after_another_and_nothing_fails(): void
    {
        $cluster = $this->ownCluster();
        $told = $cluster->endpoints();
        $loads = [$this->load($cluster, 'increments', self::tags($cluster)), $this->load($cluster, 'everything', self::tags($cluster))];
        $redis = new ResilientRedis($told[0], ['command_timeout' => 5.0]);
        $redis->set('k', 'v');
        $resharding = new Resharding($cluster);
        foreach ($cluster->nodes() as $node) {
            $resharding->replace($node);
            self::assertSame('v', $redis->get('k'));
        }
        self::assertSame([], array_intersect($told, $cluster->endpoints()), 'not one address is as it was');
        self::assertSame('v', $redis->get('k'), 'though it was told one address only, which is gone');
        foreach ($loads as $load) {
            $load->stop();
            self::assertSame([], $load->failures());
        }
    }
}
