<?php

declare(strict_types=1);

namespace Tests\Failover;

use Tests\Support\Process;
use Tests\Support\Wait;

/** The laboratory's name server, and the pen in whoever's hand changes its records. */
final class NameServer
{
    private readonly Process $process;

    private int $written = 0;

    /** @param array<string, list<string>> $records */
    public function __construct(array $records)
    {
        $this->process = new Process([PHP_BINARY, '-n', __DIR__ . '/bin/name-server.php']);
        Wait::until('the name server listens', fn (): bool => str_contains($this->process->output(), "ready\n"));
        foreach ($records as $name => $addresses) {
            $this->set($name, ...$addresses);
        }
    }

    /** Changes a record; returns the moment from which on the new answer is given. */
    public function set(string $name, string ...$addresses): float
    {
        $this->process->write(json_encode([$name, $addresses], JSON_THROW_ON_ERROR) . "\n");
        $this->written++;
        Wait::until('the record is changed', fn (): bool => substr_count($this->process->output(), "set ") >= $this->written);

        return Wait::now();
    }

    public function queries(): int
    {
        return substr_count($this->process->output(), "query ");
    }

    public function stop(): void
    {
        $this->process->kill();
    }
}
