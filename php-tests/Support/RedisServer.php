<?php

declare(strict_types=1);

namespace Tests\Support;

/** A real redis-server, without persistence, in a scratch folder: on a free loopback port, or where the caller says. */
final class RedisServer
{
    private Process $process;

    /** Its own connection to the server, kept: a new one for every question would disturb the server's counters. */
    private ?Resp $observer = null;

    private readonly string $folder;

    /** @param array<string, string> $options redis.conf directives */
    private function __construct(public readonly int $port, private array $options, public readonly string $host)
    {
        $this->folder = Scratch::folder("redis-$port");
        $this->launch();
    }

    /**
     * @param array<string, string> $options redis.conf directives, `requirepass` for example
     * @param string $host an address of this machine or namespace
     */
    public static function start(array $options = [], string $host = '127.0.0.1', ?int $port = null): self
    {
        // Between finding a free port and listening on it, somebody else may take it.
        for ($try = 1; ; $try++) {
            try {
                return new self($port ?? Ports::free(), $options, $host);
            } catch (\RuntimeException $failure) {
                if ($try === 3) {
                    throw $failure;
                }
            }
        }
    }

    /** The server's program, which is Sentinel's as well: environment variable `REDIS_SERVER` may name another one. */
    public static function program(): string
    {
        return getenv('REDIS_SERVER') ?: 'redis-server';
    }

    /** `127.0.0.1:6379`, as the extension names nodes. */
    public function address(): string
    {
        return "$this->host:$this->port";
    }

    /** `tcp://127.0.0.1:6379`, as one gives it to the extension. */
    public function endpoint(): string
    {
        return "tcp://$this->host:$this->port";
    }

    public function pid(): int
    {
        return $this->process->pid();
    }

    public function isRunning(): bool
    {
        return $this->process->isRunning();
    }

    public function command(string|int|float ...$words): mixed
    {
        $this->observer ??= $this->connect();

        return $this->observer->command(...$words);
    }

    /** A connection of the caller's own. */
    public function connect(): Resp
    {
        return new Resp($this->port, $this->options['requirepass'] ?? null, host: $this->host);
    }

    /** @return array<string, string> */
    public function info(string $section): array
    {
        preg_match_all('/^([^#:\r\n]+):(.*)\r$/m', (string) $this->command('INFO', $section), $found);

        return array_combine($found[1], $found[2]);
    }

    /** Connections and commands since the server's start, this observer's own left out. */
    public function counters(): Counters
    {
        $info = $this->info('stats');

        return new Counters((int) $info['total_connections_received'], (int) $info['total_commands_processed']);
    }

    /** How often a command was executed, by the server's own count. */
    public function calls(string $command): int
    {
        $line = $this->info('commandstats')['cmdstat_' . strtolower($command)] ?? 'calls=0,';

        return preg_match('/calls=(\d+)/', $line, $found) === 1 ? (int) $found[1] : 0;
    }

    /**
     * The server's list of clients without its observer.
     *
     * @return list<array<string, string>>
     */
    public function clients(): array
    {
        $own = (string) $this->command('CLIENT', 'ID');
        $clients = [];
        foreach (explode("\n", trim((string) $this->command('CLIENT', 'LIST'))) as $line) {
            preg_match_all('/([\w-]+)=(\S*)/', $line, $found);
            $client = array_combine($found[1], $found[2]);
            if ($client['id'] !== $own) {
                $clients[] = $client;
            }
        }

        return $clients;
    }

    /** How many connections are between MULTI and EXEC: their flag says so. (In Valkey the count of queued commands stays 0 afterwards.) */
    public function inTransaction(): int
    {
        return count(array_filter($this->clients(), static fn (array $client): bool => str_contains($client['flags'], 'x')));
    }

    /** Whether the server behaves as Redis does from this version on; Valkey 8 says that it does as Redis 7.2.4. */
    public function since(string $version): bool
    {
        return version_compare($this->info('server')['redis_version'], $version, '>=');
    }

    public function kill(): void
    {
        $this->observer = null;
        $this->process->kill();
    }

    public function stop(): void
    {
        $this->observer = null;
        $this->process->stop();
    }

    /** The process stands still; the kernel goes on accepting connections for it. */
    public function freeze(): void
    {
        $this->process->signal(SIGSTOP);
    }

    public function thaw(): void
    {
        $this->process->signal(SIGCONT);
    }

    /** Starts it again on its port, after kill() or stop(), with an empty memory. */
    public function restart(?self $primary = null): void
    {
        $this->options['replicaof'] = $primary === null ? '' : "$primary->host $primary->port";
        $this->launch();
    }

    /** Starts it again with `$keys` keys that it takes `$seconds` to load; returns while it loads. */
    public function restartLoading(int $keys, float $seconds): void
    {
        $this->command('DEBUG', 'POPULATE', $keys);
        $this->command('SAVE');
        $this->kill();
        $this->options['key-load-delay'] = (string) (int) (1e6 * $seconds / $keys);
        $this->options['loading-process-events-interval-bytes'] = '1024';
        $this->launch();
        unset($this->options['key-load-delay'], $this->options['loading-process-events-interval-bytes']);
    }

    public function promote(): void
    {
        $this->command('REPLICAOF', 'NO', 'ONE');
    }

    public function replicaOf(self $primary): void
    {
        $this->command('REPLICAOF', $primary->host, $primary->port);
    }

    public function role(): string
    {
        return (string) ((array) $this->command('ROLE'))[0];
    }

    public function waitUntilLinked(): void
    {
        Wait::until(
            "the replica on port $this->port follows its primary",
            fn (): bool => ($this->info('replication')['master_link_status'] ?? '') === 'up',
        );
    }

    private function launch(): void
    {
        $directives = $this->options + [
            'bind' => $this->host, 'bind-source-addr' => $this->host, 'dir' => $this->folder, 'logfile' => "$this->folder/log", 'daemonize' => 'no',
            'save' => '', 'appendonly' => 'no', 'repl-diskless-sync' => 'yes', 'repl-diskless-sync-delay' => '0',
            'enable-debug-command' => 'yes',
            // It would turn away peers with addresses other than loopback's, such as those of a namespace's nodes.
            'protected-mode' => 'no',
        ];
        $command = [self::program(), '--port', (string) $this->port];
        foreach ($directives as $name => $value) {
            if ($name !== 'replicaof' || $value !== '') {
                array_push($command, "--$name", ...($value === '' ? [''] : explode(' ', $value)));
            }
        }
        $this->process = new Process($command);
        Wait::until("redis-server answers on port $this->port", function (): bool {
            if (!$this->process->isRunning()) {
                $log = @file_get_contents("$this->folder/log") ?: $this->process->output() . $this->process->errors();
                throw new \RuntimeException("redis-server did not start on port $this->port:\n$log");
            }
            try {
                return $this->command('PING') === 'PONG';
            } catch (\RuntimeException $refusal) {
                if (isset($this->options['key-load-delay']) && str_starts_with($refusal->getMessage(), 'LOADING')) {
                    return true;
                }
                $this->observer = null;

                return false;
            }
        });
    }
}
