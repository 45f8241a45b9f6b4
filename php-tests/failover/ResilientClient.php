<?php

declare(strict_types=1);

namespace Tests\Failover;

use ResilientRedis;
use ResilientRedis\OutcomeUnknown;

final class ResilientClient extends Clients
{
    private readonly ResilientRedis $redis;

    /** @param array<string, mixed> $options */
    public function __construct(mixed $parameters, array $options)
    {
        $this->redis = new ResilientRedis($parameters, $options);
    }

    protected function call(string $command, array $arguments): mixed
    {
        return $this->redis->$command(...$arguments);
    }

    protected function isUnknown(\Throwable $failure): bool
    {
        return $failure instanceof OutcomeUnknown;
    }

    public function reset(): void
    {
        ResilientRedis::resetPools();
    }

    public function dialed(): int
    {
        return $this->redis->stats()['connections']['dialed'];
    }
}
