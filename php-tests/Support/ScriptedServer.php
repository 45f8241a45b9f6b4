<?php

declare(strict_types=1);

namespace Tests\Support;

/** A server that misbehaves as told: alone, or as a proxy in front of a real one. */
final class ScriptedServer
{
    private readonly Process $process;

    public readonly int $port;

    private function __construct(string $script, string ...$arguments)
    {
        $this->process = new Process([PHP_BINARY, '-n', __DIR__ . "/bin/$script", ...$arguments]);
        $lines = Wait::until('the scripted server listens', function (): ?array {
            if (!$this->process->isRunning()) {
                throw new \RuntimeException('the scripted server did not start: ' . $this->process->output() . $this->process->errors());
            }

            return $this->process->newLines() ?: null;
        });
        $this->port = (int) $lines[0];
    }

    /** @param string $mode silent, close-at-once, close-after-request, garbage, half or flood: see bin/misbehaving-server.php */
    public static function misbehaving(string $mode): self
    {
        return new self('misbehaving-server.php', $mode);
    }

    /**
     * A proxy that does one kind of harm to one command.
     *
     * @param string $fault close, lose, swallow, late, half, half-close, garbage or record: see bin/fault-proxy.php
     */
    public static function before(RedisServer $server, string $command, string $fault, int $times = 1, float $seconds = 0.0): self
    {
        $rule = ['command' => strtoupper($command), 'fault' => $fault, 'times' => $times, 'seconds' => $seconds];

        return new self('fault-proxy.php', (string) $server->port, json_encode([$rule], JSON_THROW_ON_ERROR));
    }

    /** A proxy that gives other bytes for the reply to one command, once. */
    public static function saying(RedisServer $server, string $command, string $bytes): self
    {
        $rule = ['command' => strtoupper($command), 'fault' => 'say', 'times' => 1, 'bytes' => $bytes];

        return new self('fault-proxy.php', (string) $server->port, json_encode([$rule], JSON_THROW_ON_ERROR));
    }

    /**
     * A proxy that follows several rules.
     *
     * @param list<array<string, mixed>> $rules see bin/fault-proxy.php
     */
    public static function following(RedisServer $server, array $rules): self
    {
        return new self('fault-proxy.php', (string) $server->port, json_encode($rules, JSON_THROW_ON_ERROR));
    }

    /** A relay that does no harm and records what each connection is sent: see bin/recording-relay.php. */
    public static function recording(RedisServer $server): self
    {
        return new self('recording-relay.php', (string) $server->port);
    }

    public function endpoint(): string
    {
        return "tcp://127.0.0.1:$this->port";
    }

    public function address(): string
    {
        return "127.0.0.1:$this->port";
    }

    /** How often a command passed by. */
    public function seen(string $command): int
    {
        return preg_match_all('/^' . strtoupper($command) . '$/m', $this->process->output());
    }

    /**
     * What was recorded since this was asked last: the words of each command, or what a recording relay has to say.
     *
     * @return list<list<int|string>>
     */
    public function recorded(): array
    {
        $lines = array_filter($this->process->newLines(), static fn (string $line): bool => str_starts_with($line, '['));

        return array_map(static fn (string $line): array => json_decode($line, true, 2, JSON_THROW_ON_ERROR), array_values($lines));
    }

    /** How often a client was accepted; of servers that stand alone. */
    public function connections(): int
    {
        return preg_match_all('/^connection$/m', $this->process->output());
    }

    public function stop(): void
    {
        $this->process->kill();
    }
}
