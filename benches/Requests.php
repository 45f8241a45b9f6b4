<?php

declare(strict_types=1);

namespace Benches;

use Tests\Support\FpmMaster;
use Tests\Support\RedisServer;

/**
 * What a request to php-fpm costs that makes a client and reads: the worker's CPU beyond that of an empty request, connections and
 * commands by the server's count, and how long the visitor waits. The clients take turns, in an order drawn anew each round.
 */
final class Requests
{
    public const CLIENTS = [
        'resilient' => 'ResilientRedis', 'phpredis-kept' => 'phpredis, pconnect', 'phpredis' => 'phpredis, connect',
        'predis-kept' => 'Predis, persistent', 'predis' => 'Predis',
    ];

    public const MEASURE = 'phpredis-kept';

    public const CROWDS = [1, 4, 16, 50];

    private readonly RedisServer $server;

    private function __construct(private readonly int $rounds)
    {
        $this->server = RedisServer::start();
        Operations::fill($this->server);
        Processors::keepServer($this->server->pid());
    }

    /** @return array{cost: array<string, array<string, array<string, float>>>, waits: array<int, array<string, array<string, float>>>} */
    public static function all(int $rounds): array
    {
        $requests = new self($rounds);
        $fpm = self::fpm(1);
        Processors::keepClient($fpm->workers()[0]);
        $cost = [
            '1 GET' => $requests->cost($fpm, 1, 60, false),
            '20 GETs' => $requests->cost($fpm, 20, 30, false),
            '1 GET, cold' => $requests->cost($fpm, 1, 20, true),
        ];
        $fpm->stop();
        $waits = [];
        foreach (self::CROWDS as $workers) {
            $fpm = self::fpm($workers);
            $waits[$workers] = $requests->waits($fpm, $workers);
            $fpm->stop();
        }
        $requests->server->stop();

        return ['cost' => $cost, 'waits' => $waits];
    }

    private static function fpm(int $workers): FpmMaster
    {
        return FpmMaster::start(__DIR__ . '/requests', $workers, extensions: Clients::extensions('phpredis'));
    }

    /**
     * @param bool $cold whether the server closes the worker's connection before each request
     * @return array<string, array<string, float>> by client: CPU beside the measure, connections and commands a request
     */
    private function cost(FpmMaster $fpm, int $gets, int $batch, bool $cold): array
    {
        [$worker] = $fpm->workers();
        $spent = [];
        $counted = [];
        for ($round = -1; $round < $this->rounds; $round++) {
            foreach (self::shuffled([...array_keys(self::CLIENTS), 'nobody']) as $client) {
                $counters = $this->server->counters();
                $cpu = 0;
                for ($i = 0; $i < $batch; $i++) {
                    if ($cold) {
                        $this->server->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
                    }
                    $before = self::cpu($worker);
                    $this->send($fpm, $client, $gets)->response();
                    $cpu += self::cpu($worker) - $before;
                }
                $since = $this->server->counters()->since($counters);
                // The first round is to warm up.
                if ($round >= 0) {
                    $spent[$client][] = $cpu / $batch;
                    $counted[$client] = ['connections' => $since->connections / $batch, 'commands' => $since->commands / $batch - ($cold ? 1 : 0)];
                }
            }
        }
        $net = static fn (string $client): float => Speed::median($spent[$client]) - Speed::median($spent['nobody']);
        $cost = [];
        foreach (array_keys(self::CLIENTS) as $client) {
            $cost[$client] = ['cpu' => $net($client) / $net(self::MEASURE)] + $counted[$client];
        }

        return $cost;
    }

    /** @return array<string, array{p50: float, p99: float}> by client: how long visitors wait beside the measure, as many at once as there are workers */
    private function waits(FpmMaster $fpm, int $workers): array
    {
        $waits = [];
        for ($round = -1; $round < 4 * $this->rounds; $round++) {
            foreach (self::shuffled(array_keys(self::CLIENTS)) as $client) {
                for ($wave = 0; $wave < max(1, 10 / $workers); $wave++) {
                    $begun = hrtime(true);
                    $pending = [];
                    for ($i = 0; $i < $workers; $i++) {
                        $pending[] = $this->send($fpm, $client, 1);
                    }
                    foreach ($pending as $request) {
                        $request->response();
                        if ($round >= 0) {
                            $waits[$client][] = hrtime(true) - $begun;
                        }
                    }
                }
            }
        }
        $of = static fn (string $client, float $part): float => Numbers::percentile($waits[$client], $part) / Numbers::percentile($waits[self::MEASURE], $part);
        $beside = [];
        foreach (array_keys(self::CLIENTS) as $client) {
            $beside[$client] = ['p50' => $of($client, 0.5), 'p99' => $of($client, 0.99)];
        }

        return $beside;
    }

    private function send(FpmMaster $fpm, string $client, int $gets): \Tests\Support\FastCgi
    {
        return $fpm->send('get.php', ['client' => $client, 'gets' => $gets, 'port' => $this->server->port]);
    }

    /** Nanoseconds that a process has run, by the scheduler's account. */
    private static function cpu(int $pid): int
    {
        return (int) file_get_contents("/proc/$pid/schedstat");
    }

    /**
     * @param list<string> $names
     * @return list<string>
     */
    private static function shuffled(array $names): array
    {
        shuffle($names);

        return $names;
    }
}
