<?php

declare(strict_types=1);

namespace Tests\Failover;

use Tests\Support\ClusterLoad;
use Tests\Support\RedisCluster;
use Tests\Support\RedisServer;
use Tests\Support\Wait;

/** A Redis Cluster of three shards elects a replica by itself, while three programs increment: one key of the lost shard, of the others, of both. */
final class Clusters
{
    /** @return list<Scenario> */
    public static function scenarios(): array
    {
        $bars = ['failed' => 0, 'duplicates' => 0, 'others_p99_ms' => 50, 'dialed' => 250];

        return [
            new Scenario('cluster-killed', 'Redis Cluster: the primary of a shard is killed', ['first_write_ms' => 60, ...$bars], self::killed(...), peers: []),
            new Scenario(
                'cluster-hangs',
                'Redis Cluster: the primary of a shard hangs (SIGSTOP)',
                ['first_write_ms' => 100, 'unknown_incr' => 3, ...$bars],
                self::hangs(...),
                peers: [],
            ),
        ];
    }

    /** @return array<string, float|int> */
    private static function killed(string $client): array
    {
        return self::measure(static fn (RedisCluster $cluster, RedisServer $primary) => $primary->kill());
    }

    /** @return array<string, float|int> */
    private static function hangs(string $client): array
    {
        return self::measure(static fn (RedisCluster $cluster, RedisServer $primary) => $cluster->hang($primary));
    }

    /**
     * @param callable(RedisCluster, RedisServer): void $fault
     * @return array<string, float|int>
     */
    private static function measure(callable $fault): array
    {
        $cluster = RedisCluster::start();
        $loads = [];
        try {
            [$victim] = $cluster->primaries();
            [$tag, $second, $third] = array_map($cluster->tagOf(...), $cluster->primaries());
            $loads[] = $hit = new ClusterLoad($cluster, 'increments', [$tag]);
            $loads[] = $others = new ClusterLoad($cluster, 'increments', [$second, $third]);
            $loads[] = $both = new ClusterLoad($cluster, 'increments', [$tag, $second]);
            usleep(300_000);
            $watch = $cluster->watchForElection($victim);
            usleep(100_000);
            $before = $cluster->connections();
            $began = Wait::now();
            $fault($cluster, $victim);
            [$elected, $moment] = $cluster->waitForElection($watch);
            usleep(500_000);
            $after = $cluster->connections();
            foreach ($loads as $load) {
                $load->stop();
            }
            $count = (int) $elected->connect()->command('GET', "{{$tag}}n");
            // Both lists have the same programs' operations: those of the mixed one go to the key by turns.
            $most = $hit->ok() + intdiv($both->ok() + 1, 2) + $hit->unknown() + $both->unknown();
            $number = static fn (string ...$outcomes): int => array_sum(array_map(static fn (ClusterLoad $load): int => $load->number(...$outcomes), $loads));

            return [
                'failed' => $number('failed', 'wrong'),
                'unknown_incr' => $number('unknown'),
                'duplicates' => max(0, $count - $most),
                'first_write_ms' => 1e3 * max($hit->firstSuccessAfter($moment), $both->firstSuccessAfter($moment)),
                'others_p99_ms' => 1e3 * $others->percentile99($began),
                'longest_of_shard_ms' => 1e3 * $hit->longest(),
                'dialed' => array_sum(array_map(static fn (string $node): int => $after[$node] - ($before[$node] ?? 0), array_keys($after))),
            ];
        } finally {
            array_map(static fn (ClusterLoad $load) => $load->stop(), $loads);
            $cluster->stop();
        }
    }
}
