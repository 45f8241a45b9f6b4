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
