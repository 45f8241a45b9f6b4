<?php

declare(strict_types=1);

namespace Tests\Support;

/** Changes of a cluster's shape while it is used, as an administrator makes them. */
final class Resharding
{
    /** How many slots are on their way at once. */
    private const SLOTS = 128;

    /** How many keys one MIGRATE takes: few, so that others see slots of which both nodes have a part. */
    private const KEYS = 5;

    /** @param float $pause seconds between two MIGRATEs */
    public function __construct(
        private readonly RedisCluster $cluster,
        private readonly float $pause = 0.0,
        private readonly ?string $password = null,
    ) {
    }

    /** @param list<int> $slots those of one primary, which move with their keys */
    public function move(array $slots, RedisServer $from, RedisServer $to): void
    {
        [$source, $target] = [$this->cluster->idOf($from), $this->cluster->idOf($to)];
        foreach (array_chunk($slots, self::SLOTS) as $chunk) {
            $all = static fn (string|int ...$words): array => array_map(
                static fn (int $slot): array => ['CLUSTER', 'SETSLOT', $slot, ...$words],
                $chunk,
            );
            self::each($to, $all('IMPORTING', $source));
            self::each($from, $all('MIGRATING', $target));
            foreach ($chunk as $slot) {
                while (($keys = (array) $from->command('CLUSTER', 'GETKEYSINSLOT', $slot, self::KEYS)) !== []) {
                    $this->migrate($keys, $from, $to);
                }
            }
            // First the new owner: were it to fail after the old one had given up, nobody would have the slots.
            self::each($to, $all('NODE', $target));
            foreach ($this->cluster->primaries() as $primary) {
                if ($primary !== $to) {
                    self::each($primary, $all('NODE', $target));
                }
            }
        }
    }

    /** A new primary with a replica, which takes its equal part of the slots from the others. */
    public function addShard(int $replicas = 1): RedisServer
    {
        $others = $this->cluster->primaries();
        $primary = $this->cluster->launch();
        $this->cluster->admit($primary);
        for ($i = 0; $i < $replicas; $i++) {
            $replica = $this->cluster->launch();
            $this->cluster->admit($replica);
            $this->cluster->attach($replica, $primary);
        }
        $this->cluster->waitUntilWhole();
        $share = intdiv(Slot::COUNT, count($others) + 1);
        foreach ($others as $other) {
            $slots = $this->cluster->slotsOf($other);
            $this->move(array_slice($slots, $share), $other, $primary);
        }
        $this->cluster->waitUntilWhole();

        return $primary;
    }

    /** Gives a primary's slots to the others, and has it leave with its replicas. */
    public function removeShard(RedisServer $primary): void
    {
        $others = array_values(array_filter($this->cluster->primaries(), static fn (RedisServer $one): bool => $one !== $primary));
        $slots = $this->cluster->slotsOf($primary);
        foreach (array_chunk($slots, (int) ceil(count($slots) / count($others))) as $number => $part) {
            $this->move($part, $primary, $others[$number]);
        }
        foreach ($this->cluster->replicasOf($primary) as $replica) {
            $this->cluster->dismiss($replica);
        }
        $this->cluster->dismiss($primary);
        $this->cluster->waitUntilWhole();
    }

    /** Another node with another port takes a node's place and its data, as when the engine is upgraded; the old one leaves. */
    public function replace(RedisServer $node): RedisServer
    {
        $wasPrimary = $node->role() === 'master';
        $primary = $wasPrimary ? $node : $this->primaryOfReplica($node);
        $new = $this->cluster->launch();
        $this->cluster->admit($new);
        $this->cluster->attach($new, $primary);
        $this->cluster->waitUntilWhole();
        if ($wasPrimary) {
            $new->command('CLUSTER', 'FAILOVER');
            Wait::until("the node on port $new->port is the primary", static fn (): bool => $new->role() === 'master');
            $this->cluster->waitUntilWhole();
        }
        $this->cluster->dismiss($node);
        $this->cluster->waitUntilWhole();

        return $new;
    }

    private function primaryOfReplica(RedisServer $replica): RedisServer
    {
        foreach ($this->cluster->primaries() as $primary) {
            if (in_array($replica, $this->cluster->replicasOf($primary), true)) {
                return $primary;
            }
        }

        throw new \RuntimeException("{$replica->address()} follows nobody");
    }

    /** @param array<mixed> $keys */
    private function migrate(array $keys, RedisServer $from, RedisServer $to): void
    {
        $authentication = $this->password === null ? [] : ['AUTH', $this->password];
        $from->command('MIGRATE', $to->host, $to->port, '', 0, 5000, ...$authentication, ...['KEYS', ...$keys]);
        usleep((int) ($this->pause * 1e6));
    }

    /**
     * Sends commands in one write: thousands of slots move one by one.
     *
     * @param list<list<string|int>> $commands
     */
    private static function each(RedisServer $node, array $commands): void
    {
        $connection = $node->connect();
        $connection->send(implode('', array_map(Resp::encode(...), $commands)));
        foreach ($commands as $command) {
            $connection->reply();
        }
    }
}
