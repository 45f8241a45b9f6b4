<?php

declare(strict_types=1);

namespace Tests\Support;

/** One real Sentinel process on a free loopback port: the server's own program with `--sentinel`. */
final class Sentinel
{
    private Process $process;

    private ?Resp $observer = null;

    private readonly string $folder;

    /** @param list<string> $directives lines of its configuration file */
    private function __construct(public readonly int $port, array $directives, private readonly ?string $password)
    {
        $this->folder = Scratch::folder("sentinel-$port");
        $own = ["port $port", 'bind 127.0.0.1', "dir $this->folder", "logfile $this->folder/log", 'daemonize no'];
        // It rewrites the file with what it learns, so the file is its own.
        file_put_contents("$this->folder/sentinel.conf", implode("\n", [...$own, ...$directives]) . "\n");
        $this->process = new Process([RedisServer::program(), "$this->folder/sentinel.conf", '--sentinel']);
        Wait::until("a Sentinel answers on port $port", function (): bool {
            if (!$this->process->isRunning()) {
                throw new \RuntimeException("the Sentinel did not start:\n" . $this->log() . $this->process->errors());
            }
            try {
                return $this->command('PING') === 'PONG';
            } catch (\RuntimeException) {
                $this->observer = null;

                return false;
            }
        });
    }

    /** @param list<string> $directives */
    public static function start(array $directives, ?string $password = null): self
    {
        return new self(Ports::free(), $directives, $password);
    }

    public function endpoint(): string
    {
        return "tcp://127.0.0.1:$this->port";
    }

    public function address(): string
    {
        return "127.0.0.1:$this->port";
    }

    public function command(string|int ...$words): mixed
    {
        $this->observer ??= new Resp($this->port, $this->password);

        return $this->observer->command(...$words);
    }

    /** @return array<string, string> what it says of a service */
    public function master(string $service): array
    {
        $fields = (array) $this->command('SENTINEL', 'MASTER', $service);

        return array_column(array_chunk($fields, 2), 1, 0);
    }

    public function log(): string
    {
        return @file_get_contents("$this->folder/log") ?: '';
    }

    public function kill(): void
    {
        $this->observer = null;
        $this->process->kill();
    }
}
