<?php

declare(strict_types=1);

namespace Benches;

use Tests\Support\Certificates;
use Tests\Support\RedisServer;
use Tests\Support\Scratch;

/** Takes every figure of the comparison of operations: all clients, over TCP, a unix socket and TLS. */
final class Measurements
{
    /** Over TLS, and where only the way to the server differs: what one more place can tell. */
    private const ELSEWHERE = ['get-32', 'get-64k'];

    /** @var array<string, Place> */
    public readonly array $places;

    public readonly RedisServer $server;

    public function __construct()
    {
        $certificates = new Certificates();
        $socket = Scratch::folder('socket') . '/redis';
        $directives = $certificates->server($certificates->issue('DNS:localhost')) + ['unixsocket' => $socket, 'bind' => '127.0.0.1 -::1'];
        $this->server = RedisServer::start($directives);
        Operations::fill($this->server);
        Processors::keepServer($this->server->pid());
        $this->places = [
            'tcp' => Place::tcp($this->server->port),
            'unix' => Place::unix($socket),
            'tls' => Place::tls((int) $directives['tls-port'], $certificates->authority()),
        ];
    }

    /** @return array<string, array<string, array<string, array<string, float|int>>>> by place, operation and client */
    public function speed(int $rounds): array
    {
        $pairs = $this->pairs();
        shuffle($pairs);
        $speed = [];
        foreach ($pairs as [$place, $operation]) {
            $speed[$place][$operation] = Speed::compare($operation, $this->places[$place], $rounds);
            self::tell("$place, " . Operations::ALL[$operation], array_column($speed[$place][$operation], 'cpu'), array_keys($speed[$place][$operation]));
        }

        return $speed;
    }

    /** @return array<string, array<string, array<string, float>>> by place, operation and client */
    public function instructions(): array
    {
        // Over a unix socket they are those of TCP: one operation shows it.
        $pairs = array_filter($this->pairs(), static fn (array $pair): bool => $pair[0] !== 'unix' || $pair[1] === 'get-32');

        return $this->counted($pairs, Counting::instructions(...));
    }

    /** @return array<string, array<string, array<string, float>>> */
    public function systemCalls(): array
    {
        return $this->counted($this->pairs(), Counting::systemCalls(...));
    }

    /**
     * @param array<array{string, string}> $pairs
     * @param \Closure(array<string, array{list<string>, list<string>, int}>): array<string, float> $count
     * @return array<string, array<string, array<string, float>>>
     */
    private function counted(array $pairs, \Closure $count): array
    {
        $counts = [];
        foreach ($pairs as [$place, $operation]) {
            $jobs = [];
            foreach (array_keys(Clients::ALL) as $client) {
                if (Clients::can($client, $operation, $place)) {
                    $jobs[$client] = Counting::pair($client, $this->places[$place], $operation);
                }
            }
            $counts[$place][$operation] = $count($jobs);
            self::tell("$place, " . Operations::ALL[$operation] . ', counted', array_values($counts[$place][$operation]), array_keys($jobs));
        }

        return $counts;
    }

    /** @return list<array{string, string}> */
    private function pairs(): array
    {
        $pairs = [];
        foreach (array_keys($this->places) as $place) {
            foreach ($place === 'tls' ? self::ELSEWHERE : array_keys(Operations::ALL) as $operation) {
                $pairs[] = [$place, $operation];
            }
        }

        return $pairs;
    }

    /**
     * @param list<float|int> $figures
     * @param list<string> $clients
     */
    private static function tell(string $what, array $figures, array $clients): void
    {
        $said = array_map(static fn (float|int $figure, string $client): string => sprintf('%s %s', $client, Numbers::short($figure)), $figures, $clients);
        printf("%-44s %s\n", $what, implode('   ', $said));
    }
}
