<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\ClusterTestCase;
use Tests\Support\FastCgi;
use Tests\Support\FpmMaster;
use Tests\Support\RedisCluster;
use Tests\Support\RedisServer;
use Tests\Support\Resharding;
use Tests\Support\Scratch;
use Tests\Support\Slot;
use Tests\Support\Wait;

/** P10 for clusters: of the workers of one FPM master one asks for the map, and all have it. */
final class ClusterBoardTest extends ClusterTestCase
{
    private const WORKERS = 8;

    public function test_of_many_workers_that_start_at_once_one_asks_for_the_map(): void
    {
        $cluster = self::cluster();
        $fpm = $this->workers();
        [$before, $begun] = [self::questions($cluster), $cluster->connections()];
        $keys = array_map(static fn (string $tag): string => "{{$tag}}n", self::tags($cluster));
        foreach ($keys as $key) {
            self::assertSame(range(1, self::WORKERS), $this->all($fpm, $cluster, "INCR $key"));
        }
        self::assertSame(1, self::questions($cluster) - $before);
        $connections = array_sum($cluster->connections()) - array_sum($begun);
        // One to each primary; some begin at the endpoint, and a counter connects for each look.
        self::assertLessThanOrEqual(5 * self::WORKERS, $connections);
    }

    public function test_a_slot_that_has_moved_is_learned_by_one_for_all(): void
    {
        $cluster = self::cluster();
        [$from, $to] = $cluster->primaries();
        $tag = $cluster->tagOf($from);
        $fpm = $this->workers();
        $this->all($fpm, $cluster, "SET {{$tag}}k v");
        [$before, $moved] = [self::questions($cluster), self::turnedAway($from)];
        (new Resharding($cluster))->move([Slot::of($tag)], $from, $to);
        $this->all($fpm, $cluster, "GET {{$tag}}k", pause: 20_000);
        self::assertSame('v', $this->all($fpm, $cluster, "GET {{$tag}}k")[0]);
        self::assertSame(0, self::questions($cluster) - $before, 'the shard was known');
        self::assertSame(1, self::turnedAway($from) - $moved, 'one was turned away');
        (new Resharding($cluster))->move([Slot::of($tag)], $to, $from);
        $cluster->waitUntilWhole();
    }

    public function test_after_a_failover_hardly_anybody_asks(): void
    {
        $cluster = $this->ownCluster();
        $primary = $cluster->primaries()[0];
        $tag = $cluster->tagOf($primary);
        $fpm = $this->workers();
        $this->all($fpm, $cluster, "SET {{$tag}}n 0");
        $primary->kill();
        $before = self::questions($cluster);
        self::assertSame(range(1, self::WORKERS), $this->all($fpm, $cluster, "INCR {{$tag}}n"));
        // Each second in which nobody of the shard answers the others are asked whether it has other nodes.
        self::assertLessThanOrEqual(4, self::questions($cluster) - $before);
    }

    public function test_a_shard_that_was_added_is_asked_for_by_one(): void
    {
        $cluster = $this->ownCluster(3, 0);
        [$from] = $cluster->primaries();
        $tag = $cluster->tagOf($from);
        $fpm = $this->workers();
        $this->all($fpm, $cluster, "SET {{$tag}}k v");
        $added = $cluster->launch();
        $cluster->admit($added);
        $cluster->waitUntilWhole();
        (new Resharding($cluster))->move([Slot::of($tag)], $from, $added);
        $before = self::questions($cluster);
        self::assertSame(array_fill(0, self::WORKERS, 'v'), $this->all($fpm, $cluster, "GET {{$tag}}k"));
        self::assertSame(1, self::questions($cluster) - $before);
    }

    private function workers(): FpmMaster
    {
        return $this->stoppedAtTheEnd(FpmMaster::start(__DIR__ . '/Fixtures/requests', self::WORKERS));
    }

    /**
     * Has each worker run a command, all at once or with a pause between their beginnings.
     *
     * @return list<mixed> the replies in order
     */
    private function all(FpmMaster $fpm, RedisCluster $cluster, string $command, int $pause = 0): array
    {
        $folder = Scratch::folder('note');
        $requests = [];
        for ($i = 0; $i < self::WORKERS; $i++) {
            // Held until all have one, so that each comes to another worker.
            $requests[] = $fpm->send('share.php', [
                'endpoint' => $cluster->endpoint(), 'command' => $command, 'hold' => 300_000 + self::WORKERS * $pause,
                'options' => json_encode(['command_timeout' => 8.0]), 'note' => "$folder/$i",
            ]);
            usleep($pause);
        }
        Wait::until('all are served', static fn (): bool => count(glob("$folder/*")) === self::WORKERS);
        $answers = array_map(static fn (FastCgi $request): array => $request->response()->json(), $requests);
        self::assertCount(self::WORKERS, array_unique(array_column($answers, 'worker')), 'workers that have answered');
        $outcomes = array_column($answers, 'outcome');
        sort($outcomes);

        return $outcomes;
    }

    private static function questions(RedisCluster $cluster): int
    {
        return array_sum(array_map(
            static fn (RedisServer $node): int => $node->calls('cluster|slots') + $node->calls('cluster|shards'),
            $cluster->running(),
        ));
    }

    private static function turnedAway(RedisServer $node): int
    {
        return (int) preg_replace('/\D/', '', $node->info('errorstats')['errorstat_MOVED'] ?? '0');
    }
}
