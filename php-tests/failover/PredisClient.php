<?php

declare(strict_types=1);

namespace Tests\Failover;

/** Predis as Debian ships it, with the options that the user's document would set. */
final class PredisClient extends Clients
{
    private readonly \Predis\Client $redis;

    public function __construct(mixed $parameters)
    {
        require_once 'Predis/Autoloader.php';
        \Predis\Autoloader::register();
        $uri = is_array($parameters) ? $parameters[0] : $parameters;
        $this->redis = new \Predis\Client($uri . '?timeout=0.5&read_write_timeout=0.5');
    }

    protected function call(string $command, array $arguments): mixed
    {
        $reply = $this->redis->$command(...$arguments);

        return $reply instanceof \Predis\Response\Status ? (string) $reply : $reply;
    }

    public function reset(): void
    {
        $this->redis->disconnect();
    }
}
