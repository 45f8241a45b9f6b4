<?php

declare(strict_types=1);

namespace Tests\Support;

/** A primary with its replicas, and three sentinels that watch them. */
final class SentinelSet
{
    public const SERVICE = 'mymaster';

    /** @param list<Sentinel> $sentinels */
    private function __construct(public readonly ReplicaSet $nodes, public readonly array $sentinels)
    {
    }

    /**
     * @param array<string, string> $nodeDirectives for the nodes
     * @param list<string> $sentinelDirectives for the sentinels, `requirepass` for example
     * @param string $host by which the sentinels are told where the primary is
     */
    public static function start(
        array $nodeDirectives = [],
        array $sentinelDirectives = [],
        ?string $sentinelPassword = null,
        string $host = '127.0.0.1',
    ): self {
        $nodes = ReplicaSet::start(2, $nodeDirectives);
        $service = self::SERVICE;
        $directives = [
            ...$sentinelDirectives,
            "sentinel monitor $service $host {$nodes->primary()->port} 2",
            "sentinel down-after-milliseconds $service 500",
            "sentinel failover-timeout $service 5000",
        ];
        if (isset($nodeDirectives['requirepass'])) {
            $directives[] = "sentinel auth-pass $service {$nodeDirectives['requirepass']}";
        }
        $sentinels = [];
        for ($i = 0; $i < 3; $i++) {
            $sentinels[] = Sentinel::start($directives, $sentinelPassword);
        }
        $set = new self($nodes, $sentinels);
        foreach ($sentinels as $sentinel) {
            Wait::until("the Sentinel on port $sentinel->port knows the others", static function () use ($sentinel, $service): bool {
                $master = $sentinel->master($service);

                return [$master['num-other-sentinels'], $master['num-slaves'], $master['flags']] === ['2', '2', 'master'];
            }, 20.0);
        }

        return $set;
    }

    /** @return list<string> */
    public function endpoints(): array
    {
        return array_map(static fn (Sentinel $sentinel): string => $sentinel->endpoint(), $this->sentinels);
    }

    /** Waits, in a child, until one of the replicas is primary; its output is the moment. */
    public function watchForPromotion(): Process
    {
        $replicas = [$this->nodes->replica(0), $this->nodes->replica(1)];
        $ports = array_map(static fn (RedisServer $node): string => (string) $node->port, $replicas);

        return new Process([PHP_BINARY, '-n', __DIR__ . '/bin/watch-for-promotion.php', ...$ports]);
    }

    /** The replica that is primary now. */
    public function promoted(): RedisServer
    {
        foreach ([$this->nodes->replica(0), $this->nodes->replica(1)] as $node) {
            // A new connection: a Sentinel closes those of the node that it promotes.
            if (((array) $node->connect()->command('ROLE'))[0] === 'master') {
                return $node;
            }
        }

        throw new \RuntimeException('no replica was promoted');
    }

    public function stop(): void
    {
        foreach ($this->sentinels as $sentinel) {
            $sentinel->kill();
        }
        $this->nodes->stop();
    }
}
