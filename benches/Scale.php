<?php

declare(strict_types=1);

namespace Benches;

use Tests\Support\Process;
use Tests\Support\RedisServer;
use Tests\Support\Wait;

/** How cost grows: with the elements of a reply, and with the nodes of a cluster that is played. */
final class Scale
{
    private const NODES = [1, 10, 100, 1_000];

    /**
     * @param int $most elements of the longest reply
     * @return array{elements: array<string, array<int, float>>, ratios: array<int, float>, get: array<int, float>, map: array<int, float>}
     */
    public static function all(int $most, int $rounds): array
    {
        return self::elements($most, $rounds) + self::nodes();
    }

    /** @return array{elements: array<string, array<int, float>>, ratios: array<int, float>} instructions by client and number, and CPU beside phpredis */
    private static function elements(int $most, int $rounds): array
    {
        $server = RedisServer::start();
        Processors::keepServer($server->pid());
        $place = Place::tcp($server->port);
        $scale = ['elements' => [], 'ratios' => []];
        for ($count = 1; $count <= $most; $count *= 10) {
            $operation = "lrange-$count";
            for ($i = 1; $i <= $count; $i += 10_000) {
                $server->command('RPUSH', $operation, ...array_map(static fn (int $number): string => "element $number", range($i, min($count, $i + 9_999))));
            }
            $times = max(1, min(500, intdiv(100_000, $count)));
            $pair = static fn (string $client): array => [
                Clients::worker($client, $place, $operation, 1), Clients::worker($client, $place, $operation, 1 + $times), $times,
            ];
            $clients = ['resilient', 'phpredis'];
            foreach (Counting::instructions(array_map($pair, array_combine($clients, $clients))) as $client => $instructions) {
                $scale['elements'][$client][$count] = $instructions;
            }
            $scale['ratios'][$count] = Speed::compare($operation, $place, $rounds, $clients)['resilient']['cpu'];
            printf("LRANGE of %s: %s of phpredis' CPU\n", number_format($count), Numbers::short($scale['ratios'][$count]));
            $server->command('DEL', $operation);
        }
        $server->stop();

        return $scale;
    }

    /** @return array{get: array<int, float>, map: array<int, float>} instructions by the number of nodes: of a GET, and of learning the map */
    private static function nodes(): array
    {
        $scale = ['get' => [], 'map' => []];
        foreach (self::NODES as $nodes) {
            $cluster = new Process([PHP_BINARY, '-n', __DIR__ . '/cluster-server.php', (string) $nodes]);
            $port = (int) Wait::until('the cluster listens', static fn (): ?array => $cluster->newLines() ?: null)[0];
            $place = Place::tcp($port);
            $worker = static fn (int $times): array => Clients::worker('resilient', $place, 'spread-16', $times);
            // The first round over the keys connects; those after it are what a GET takes.
            $counts = Counting::instructions(['get' => [$worker(2), $worker(102), 16 * 100], 'map' => [$worker(0), $worker(1), 1]]);
            $scale['get'][$nodes] = $counts['get'];
            $scale['map'][$nodes] = $counts['map'];
            printf("%d nodes: %s instructions a GET\n", $nodes, Numbers::count($counts['get']));
            $cluster->stop();
        }

        return $scale;
    }
}
