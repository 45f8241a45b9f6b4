<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\Iterator\Keyspace;
use Tests\Support\ClusterTestCase;
use Tests\Support\Resharding;
use Tests\Support\Slot;
use Tests\Support\Wait;

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

    /** @dataProvider protocols */
    public function test_a_walk_over_all_keys_meets_each_though_slots_move_meanwhile(int $protocol): void
    {
        $cluster = self::cluster();
        [$first, $second] = $cluster->primaries();
        $redis = self::clientOf($cluster, ['protocol' => $protocol]);
        $pairs = self::pairs($redis);
        $slots = array_slice($cluster->slotsOf($first), 0, 1000);
        $resharding = new Resharding($cluster);
        [$seen, $number] = [[], 0];
        foreach (new Keyspace($redis, 'k*', 10) as $key) {
            $seen[$key] = true;
            if (++$number === 50) {
                $resharding->move($slots, $first, $second);
            }
            if ($number === 300) {
                $resharding->move($slots, $second, $first);
            }
        }
        self::assertSame([], array_keys(array_diff_key($pairs, $seen)), 'keys that were there all the time');
        self::assertLessThan(800, $number, 'what is done comes not again');
        $cluster->waitUntilWhole();
    }

    public function test_walks_meet_each_key_whatever_moves_when(): void
    {
        $cluster = self::cluster();
        $redis = self::clientOf($cluster);
        $pairs = self::pairs($redis);
        $resharding = new Resharding($cluster);
        $seed = random_int(1, 1_000_000);
        mt_srand($seed);
        for ($round = 0; $round < 8; $round++) {
            [$seen, $cursor] = [[], '0'];
            for ($page = 0; $page === 0 || $cursor !== '0'; $page++) {
                [$cursor, $keys] = $redis->scan($cursor, ['MATCH' => 'k*', 'COUNT' => 10]);
                $seen += array_flip($keys);
                if ($page < 100 && mt_rand(0, 9) === 0) {
                    $primaries = $cluster->primaries();
                    shuffle($primaries);
                    $slots = $cluster->slotsOf($primaries[0]);
                    $resharding->move(array_slice($slots, mt_rand(0, count($slots) - 1), mt_rand(1, 300)), $primaries[0], $primaries[1]);
                }
            }
            self::assertSame([], array_keys(array_diff_key($pairs, $seen)), "seed $seed, round $round, after $page pages");
        }
        $cluster->waitUntilWhole();
    }

    public function test_a_walk_ends_though_a_resharding_was_broken_off(): void
    {
        $cluster = $this->ownCluster(2, 0);
        $from = $cluster->primaries()[0];
        // Its first slot: no map tells of it yet.
        $newcomer = $cluster->launch();
        $cluster->admit($newcomer);
        $tag = $cluster->tagOf($from);
        $redis = self::clientOf($cluster);
        $pairs = self::pairs($redis) + ["k{{$tag}}a" => 'v', "k{{$tag}}b" => 'v'];
        $redis->mset($pairs);
        foreach ([[$from, $newcomer], [$newcomer, $from]] as [$one, $other]) {
            Wait::until('they know each other', static fn (): bool => str_contains((string) $one->command('CLUSTER', 'NODES'), $cluster->idOf($other))
                && str_contains((string) $one->command('CLUSTER', 'INFO'), 'cluster_state:ok'));
        }
        $newcomer->command('CLUSTER', 'SETSLOT', Slot::of($tag), 'IMPORTING', $cluster->idOf($from));
        $from->command('CLUSTER', 'SETSLOT', Slot::of($tag), 'MIGRATING', $cluster->idOf($newcomer));
        $from->command('MIGRATE', $newcomer->host, $newcomer->port, "k{{$tag}}a", 0, 5000);
        $seen = iterator_to_array(new Keyspace($redis, 'k*', 50), false);
        self::assertSame([], array_diff(array_keys($pairs), $seen));
        self::assertLessThan(count($pairs) + 10, count($seen), 'only the keys of that slot may come twice');
    }

    public function test_three_shards_become_six_and_three_again_under_load_and_nothing_fails(): void
    {
        $cluster = $this->ownCluster();
        $loads = [$this->load($cluster, 'increments', self::tags($cluster))];
        // Tags in many slots: those of each shard move.
        $tags = array_map(static fn (int $number): string => "many$number", range(0, 30));
        $loads[] = $this->load($cluster, 'everything', $tags, ['protocol' => 3]);
        $loads[] = $this->load($cluster, 'walks', ['']);
        $resharding = new Resharding($cluster);
        $added = [$resharding->addShard(), $resharding->addShard(), $resharding->addShard()];
        self::assertCount(6, $cluster->primaries());
        foreach ($added as $primary) {
            self::assertGreaterThan(0, $primary->calls('set'), 'the new shard is used');
        }
        foreach ($added as $primary) {
            $resharding->removeShard($primary);
        }
        self::assertCount(3, $cluster->primaries());
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

    /** @return array<string, string> keys in slots of all nodes, which stay */
    private static function pairs(ResilientRedis $redis): array
    {
        $pairs = [];
        for ($i = 0; $i < 600; $i++) {
            $pairs["k$i"] = 'v';
        }
        $redis->mset($pairs);

        return $pairs;
    }
}
