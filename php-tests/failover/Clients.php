<?php

declare(strict_types=1);

namespace Tests\Failover;

/** The clients under test behind one face: an operation ends `ok`, `unknown`, `failed` or `wrong`. */
abstract class Clients
{
    /** What the laboratory measures, and what it compares with. */
    public const PEERS = ['phpredis', 'predis'];

    /** @param array<string, mixed> $options */
    public static function make(string $name, mixed $parameters, array $options): self
    {
        return match ($name) {
            'resilient' => new ResilientClient($parameters, $options),
            'phpredis' => new PhpRedisClient($parameters),
            'predis' => new PredisClient($parameters),
        };
    }

    /** @return array{string, string} the outcome, and a word on it */
    public function run(string $command, string ...$arguments): array
    {
        try {
            $reply = $this->call($command, array_values($arguments));
        } catch (\Throwable $failure) {
            $outcome = $this->isUnknown($failure) ? 'unknown' : 'failed';

            return [$outcome, $failure::class . ': ' . $failure->getMessage()];
        }
        // Each SET NX is for a key of its own: "not set" is never the truth.
        $wrong = in_array('NX', $arguments, true) && !$reply;

        return [$wrong ? 'wrong' : 'ok', is_scalar($reply) ? (string) $reply : ''];
    }

    /** @param list<string> $arguments */
    abstract protected function call(string $command, array $arguments): mixed;

    protected function isUnknown(\Throwable $failure): bool
    {
        return false;
    }

    /** Lets go of all connections, so that the next operation has to open one. */
    abstract public function reset(): void;

    /** Connection attempts so far, where the client tells. */
    public function dialed(): int
    {
        return 0;
    }
}
