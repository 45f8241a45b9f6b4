<?php

declare(strict_types=1);

namespace Tests\Support;

/**
 * A real Redis Cluster on loopback ports: primaries, each with its replicas, and no persistence but what the nodes note of the
 * cluster itself. What it tells of roles and slots it asks the nodes each time, since elections change them.
 */
final class RedisCluster
{
    /** What the failover clock of the cluster is set to, in milliseconds. An election comes one to three seconds after a death. */
    public const NODE_TIMEOUT = 1500;

    /** @var list<RedisServer> also those that were killed */
    private array $nodes = [];

    /** @var array<int, string> what the nodes call themselves, by port */
    private array $ids = [];

    /** @var array<int, int> the ports on which the nodes talk to each other, by port */
    private array $buses = [];

    /** @var array<int, true> ports of processes that stand still: asking them would take the whole timeout */
    private array $hanging = [];

    /** @var array<int, int> how far replicas were when they were linked, by port; until they are seen to have got further */
    private array $offsets = [];

    /** @param array<string, string> $directives */
    private function __construct(private readonly array $directives)
    {
    }

    /** @param array<string, string> $directives redis.conf directives for all nodes */
    public static function start(int $shards = 3, int $replicas = 1, array $directives = []): self
    {
        if (isset($directives['requirepass'])) {
            $directives['masterauth'] = $directives['requirepass'];
        }
        $cluster = new self($directives + [
            'cluster-enabled' => 'yes', 'cluster-config-file' => 'nodes.conf', 'cluster-node-timeout' => (string) self::NODE_TIMEOUT,
            // A replica may be elected however long it was without its primary.
            'cluster-replica-validity-factor' => '0',
            // Replicas stay with the shard that they were given to.
            'cluster-allow-replica-migration' => 'no',
            // As in ElastiCache: a shard without a primary does not stop the others.
            'cluster-require-full-coverage' => 'no',
            'repl-ping-replica-period' => '1',
        ]);
        for ($i = 0; $i < $shards * (1 + $replicas); $i++) {
            $cluster->launch();
        }
        $primaries = array_slice($cluster->nodes, 0, $shards);
        foreach ($primaries as $number => $primary) {
            $primary->command('CLUSTER', 'SET-CONFIG-EPOCH', $number + 1);
            [$first, $next] = [intdiv(Slot::COUNT * $number, $shards), intdiv(Slot::COUNT * ($number + 1), $shards)];
            $primary->command('CLUSTER', 'ADDSLOTSRANGE', $first, $next - 1);
        }
        // Everybody is introduced to everybody: waiting for the gossip takes seconds.
        foreach ($cluster->nodes as $number => $node) {
            foreach (array_slice($cluster->nodes, $number + 1) as $other) {
                $cluster->introduce($node, $other);
            }
        }
        foreach (array_slice($cluster->nodes, $shards) as $number => $replica) {
            $cluster->attach($replica, $primaries[$number % $shards]);
        }
        $cluster->waitUntilWhole();

        return $cluster;
    }

    /** @return list<RedisServer> all that have not left, primaries of the start first; also those that were killed */
    public function nodes(): array
    {
        return $this->nodes;
    }

    /** @return list<RedisServer> those that are there and not hanging */
    public function running(): array
    {
        return array_values(array_filter(
            $this->nodes,
            fn (RedisServer $node): bool => $node->isRunning() && !isset($this->hanging[$node->port]),
        ));
    }

    /** @return list<RedisServer> those that say so now */
    public function primaries(): array
    {
        return array_values(array_filter($this->running(), static fn (RedisServer $node): bool => $node->role() === 'master'));
    }

    /** @return list<RedisServer> */
    public function replicas(): array
    {
        return array_values(array_filter($this->running(), static fn (RedisServer $node): bool => $node->role() === 'slave'));
    }

    /** @return list<RedisServer> those that follow a node, whether it is alive or not */
    public function replicasOf(RedisServer $primary): array
    {
        $id = $this->ids[$primary->port];

        return array_values(array_filter($this->running(), fn (RedisServer $node): bool => $this->own($node)['primary'] === $id));
    }

    public function replicaOf(RedisServer $primary): RedisServer
    {
        return $this->replicasOf($primary)[0] ?? throw new \RuntimeException("{$primary->address()} has no replica");
    }

    public function primaryOf(string $key): RedisServer
    {
        return $this->ownerOf(Slot::of($key));
    }

    /** The running primary that says that a slot is its own. */
    public function ownerOf(int $slot): RedisServer
    {
        foreach ($this->primaries() as $primary) {
            if (in_array($slot, $this->slotsOf($primary), true)) {
                return $primary;
            }
        }

        throw new \RuntimeException("nobody has the slot $slot");
    }

    /** @return list<int> in order */
    public function slotsOf(RedisServer $primary): array
    {
        $slots = [];
        foreach ($this->own($primary)['slots'] as $range) {
            [$first, $last] = explode('-', $range) + [1 => $range];
            array_push($slots, ...range((int) $first, (int) $last));
        }

        return $slots;
    }

    /** A word that in braces takes a key to this primary. */
    public function tagOf(RedisServer $primary): string
    {
        return Slot::tag($this->slotsOf($primary));
    }

    public function idOf(RedisServer $node): string
    {
        return $this->ids[$node->port];
    }

    public function endpoint(int $number = 0): string
    {
        return $this->nodes[$number]->endpoint();
    }

    /** @return list<string> */
    public function endpoints(): array
    {
        return array_map(static fn (RedisServer $node): string => $node->endpoint(), $this->nodes);
    }

    /** @return array<string, int> connections that each running node has taken since its start, by address */
    public function connections(): array
    {
        $counts = [];
        foreach ($this->running() as $node) {
            $counts[$node->address()] = $node->counters()->connections;
        }

        return $counts;
    }

    /** The process stands still; the kernel goes on accepting connections for it. */
    public function hang(RedisServer $node): void
    {
        $this->hanging[$node->port] = true;
        $node->freeze();
    }

    public function wake(RedisServer $node): void
    {
        $node->thaw();
        unset($this->hanging[$node->port]);
    }

    /** Watches the replicas of a primary in a child until one says that it is elected. */
    public function watchForElection(RedisServer $primary): Process
    {
        $ports = array_map(static fn (RedisServer $node): string => (string) $node->port, $this->replicasOf($primary));

        return new Process([PHP_BINARY, '-n', __DIR__ . '/bin/watch-for-promotion.php', ...$ports]);
    }

    /** @return array{RedisServer, float} who was elected, and the moment, on the clock of Wait */
    public function waitForElection(Process $watch): array
    {
        if ($watch->wait() !== 0) {
            throw new \RuntimeException('nobody watched the election: ' . $watch->errors());
        }
        [$moment, $port] = explode(' ', trim($watch->output()));
        foreach ($this->nodes as $node) {
            if ($node->port === (int) $port) {
                return [$node, (float) $moment];
            }
        }

        throw new \RuntimeException("no node has the port $port");
    }

    /** All running nodes tell the same of roles and slots, every slot is served, and every replica follows its primary. */
    public function waitUntilWhole(float $seconds = 15.0): void
    {
        $seen = [];
        try {
            Wait::until('the nodes of the cluster agree', function () use (&$seen): bool {
                $seen = array_map($this->seenBy(...), $this->running());
                foreach ($this->running() as $node) {
                    $state = (string) $node->command('CLUSTER', 'INFO');
                    if (!str_contains($state, 'cluster_state:ok') || !str_contains($state, 'cluster_slots_ok:' . Slot::COUNT)) {
                        return false;
                    }
                }

                return count(array_unique($seen, SORT_REGULAR)) === 1 && array_keys($seen[0]) === $this->expected();
            }, $seconds);
        } catch (\RuntimeException $failure) {
            throw new \RuntimeException($failure->getMessage() . ': ' . json_encode($seen), 0, $failure);
        }
        foreach ($this->replicas() as $replica) {
            $replica->waitUntilLinked();
            $before = $this->offsets[$replica->port] ?? -1;
            // A primary may begin only a second after that to send a replica what is written; the first is a PING of its own.
            Wait::until("the replica on port $replica->port gets what is written", static fn (): bool => self::offset($replica) > $before);
            unset($this->offsets[$replica->port]);
        }
    }

    /** A node that knows nobody yet. */
    public function launch(): RedisServer
    {
        $bus = Ports::free();
        $node = RedisServer::start(['cluster-port' => (string) $bus] + $this->directives);
        $this->buses[$node->port] = $bus;
        $this->ids[$node->port] = (string) $node->command('CLUSTER', 'MYID');

        return $this->nodes[] = $node;
    }

    /** Has a node that was launched take part. */
    public function admit(RedisServer $node): void
    {
        foreach ($this->running() as $other) {
            if ($other !== $node) {
                $this->introduce($other, $node);
            }
        }
    }

    /** Makes a node a replica as soon as it has heard of the primary, and waits until it has the data. */
    public function attach(RedisServer $replica, RedisServer $primary): void
    {
        Wait::until("the node on port $replica->port has heard of the one on port $primary->port", function () use ($replica, $primary): bool {
            try {
                return $replica->command('CLUSTER', 'REPLICATE', $this->ids[$primary->port]) === 'OK';
            } catch (\RuntimeException) {
                return false;
            }
        });
        $replica->waitUntilLinked();
        $this->offsets[$replica->port] = self::offset($replica);
    }

    /** Takes a node out: the others forget it, and then it ends. */
    public function dismiss(RedisServer $node): void
    {
        $this->nodes = array_values(array_filter($this->nodes, static fn (RedisServer $one): bool => $one !== $node));
        foreach ($this->running() as $other) {
            $other->command('CLUSTER', 'FORGET', $this->ids[$node->port]);
        }
        $node->kill();
    }

    public function stop(): void
    {
        foreach ($this->nodes as $node) {
            $node->kill();
        }
    }

    private function introduce(RedisServer $node, RedisServer $other): void
    {
        $node->command('CLUSTER', 'MEET', $other->host, $other->port, $this->buses[$other->port]);
    }

    private static function offset(RedisServer $replica): int
    {
        return (int) $replica->info('replication')['slave_repl_offset'];
    }

    /** @return list<string> the ids of all that have not left, in order */
    private function expected(): array
    {
        $ids = array_map(fn (RedisServer $node): string => $this->ids[$node->port], $this->nodes);
        sort($ids);

        return $ids;
    }

    /** @return array{address: string, primary: string, slots: list<string>} what a node says of itself */
    private function own(RedisServer $node): array
    {
        return $this->seenBy($node)[$this->ids[$node->port]];
    }

    /** @return array<string, array{address: string, primary: string, slots: list<string>}> what a node says of all it knows, by id */
    private function seenBy(RedisServer $node): array
    {
        $nodes = [];
        foreach (explode("\n", trim((string) $node->command('CLUSTER', 'NODES'))) as $line) {
            $words = explode(' ', $line);
            // What is on its way stands in brackets.
            $slots = array_filter(array_slice($words, 8), static fn (string $word): bool => $word[0] !== '[');
            $nodes[$words[0]] = ['address' => explode('@', $words[1])[0], 'primary' => $words[3], 'slots' => array_values($slots)];
        }
        ksort($nodes);

        return $nodes;
    }
}
