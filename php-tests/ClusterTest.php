<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\ClusterTestCase;
use Tests\Support\Resharding;
use Tests\Support\Slot;

/** A Redis Cluster that nothing happens to. */
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
}
