<?php

declare(strict_types=1);

namespace Tests\Failover;

/** phpredis with what helps it: retries with backoff, and after an error a new object with a connection of its own. */
final class PhpRedisClient extends Clients
{
    private ?\Redis $redis = null;

    private readonly string $host;

    private readonly int $port;

    public function __construct(mixed $parameters)
    {
        $uri = parse_url(is_array($parameters) ? $parameters[0] : $parameters);
        [$this->host, $this->port] = [$uri['host'], $uri['port']];
    }

    protected function call(string $command, array $arguments): mixed
    {
        if ($this->redis === null) {
            $redis = new \Redis();
            if (!$redis->connect($this->host, $this->port, 0.5)) {
                throw new \RedisException('cannot connect');
            }
            $redis->setOption(\Redis::OPT_READ_TIMEOUT, 0.5);
            $redis->setOption(\Redis::OPT_MAX_RETRIES, 3);
            $this->redis = $redis;
        }
        try {
            $reply = match ($arguments[2] ?? '') {
                'NX' => $this->redis->set($arguments[0], $arguments[1], ['nx']),
                default => $this->redis->$command(...$arguments),
            };
        } catch (\Throwable $failure) {
            $this->redis = null;
            throw $failure;
        }
        if ($reply === false && $command !== 'get' && ($arguments[2] ?? '') !== 'NX') {
            $error = $this->redis->getLastError();
            $this->redis = null;
            throw new \RedisException((string) ($error ?? 'false without a reason'));
        }

        return $reply;
    }

    public function reset(): void
    {
        $this->redis?->close();
        $this->redis = null;
    }
}
