<?php

declare(strict_types=1);

namespace Tests\Support;

/** A primary and its replicas. */
final class ReplicaSet
{
    /** @param list<RedisServer> $nodes the first one is the primary at the start */
    private function __construct(public readonly array $nodes)
    {
    }

    /**
     * @param array<string, string> $directives for all nodes
     * @param list<string> $hosts addresses of this namespace, one for each node, which then all have the port 6379
     */
    public static function start(int $replicas = 2, array $directives = [], array $hosts = []): self
    {
        if (isset($directives['requirepass'])) {
            $directives['masterauth'] = $directives['requirepass'];
        }
        $place = static fn (int $number): array => isset($hosts[$number]) ? [$hosts[$number], 6379] : [];
        $nodes = [RedisServer::start($directives, ...$place(0))];
        for ($i = 1; $i <= $replicas; $i++) {
            $follows = ['replicaof' => "{$nodes[0]->host} {$nodes[0]->port}"];
            $nodes[] = RedisServer::start($follows + $directives, ...$place($i));
        }
        $set = new self($nodes);
        $set->waitUntilLinked($nodes[0]);

        return $set;
    }

    public function primary(): RedisServer
    {
        return $this->nodes[0];
    }

    public function replica(int $number = 0): RedisServer
    {
        return $this->nodes[$number + 1];
    }

    /** @return list<string> */
    public function endpoints(): array
    {
        return array_map(static fn (RedisServer $node): string => $node->endpoint(), $this->nodes);
    }

    /** Every running node but the primary follows it, and the primary has seen them. */
    public function waitUntilLinked(RedisServer $primary): void
    {
        $replicas = array_filter(
            $this->nodes,
            static fn (RedisServer $node): bool => $node !== $primary && $node->isRunning(),
        );
        foreach ($replicas as $replica) {
            $replica->waitUntilLinked();
        }
        Wait::until(
            "the primary on port $primary->port sees its replicas online",
            static function () use ($primary, $replicas): bool {
                $online = preg_grep('/state=online/', $primary->info('replication')) ?: [];

                return count($online) === count($replicas);
            },
        );
    }

    /** The running replica that has received most of the primary's data: the one that a failover would choose. */
    public function bestReplica(RedisServer $lost): RedisServer
    {
        $best = null;
        $most = -1;
        foreach ($this->nodes as $node) {
            if ($node === $lost || !$node->isRunning()) {
                continue;
            }
            $offset = (int) $node->info('replication')['slave_repl_offset'];
            if ($offset > $most) {
                [$best, $most] = [$node, $offset];
            }
        }

        return $best ?? throw new \RuntimeException('no replica is left');
    }

    /** Makes a replica the primary and has the other running nodes follow it; returns the time of the promotion. */
    public function promote(RedisServer $chosen, RedisServer ...$except): float
    {
        $chosen->promote();
        $promotedAt = Wait::now();
        foreach ($this->nodes as $node) {
            if ($node !== $chosen && !in_array($node, $except, true) && $node->isRunning()) {
                $node->replicaOf($chosen);
            }
        }

        return $promotedAt;
    }

    /**
     * Promotes while this process is busy: in a child, some time from now.
     *
     * @param list<RedisServer> $followers what follows the new primary from then on
     */
    public function promoteLater(RedisServer $chosen, float $seconds, array $followers = []): Process
    {
        $ports = array_map(static fn (RedisServer $node): string => (string) $node->port, $followers);

        return new Process([PHP_BINARY, '-n', __DIR__ . '/bin/promote.php', (string) $seconds, (string) $chosen->port, ...$ports]);
    }

    public function stop(): void
    {
        foreach ($this->nodes as $node) {
            $node->kill();
        }
    }
}
