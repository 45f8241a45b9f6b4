<?php

declare(strict_types=1);

namespace Benches;

use Tests\Support\Certificates;
use Tests\Support\Process;
use Tests\Support\RedisServer;
use Tests\Support\Wait;

/** What a new connection over TLS costs: with a full handshake, and with a session that is resumed. */
final class Handshakes
{
    /** How many connections of each kind go through the relay. The first one of all is one to begin with, every third resumes. */
    private const RELAYED = 5;

    /** @return array<string, array<string, array<string, float|int>>> by version of TLS and kind; CPU and time beside a full handshake of phpredis */
    public static function all(int $rounds): array
    {
        $certificates = new Certificates();
        $identity = $certificates->issue('DNS:localhost');
        $all = [];
        foreach (['TLSv1.2' => 'TLS 1.2', 'TLSv1.3' => 'TLS 1.3'] as $protocol => $name) {
            $directives = $certificates->server($identity) + ['tls-protocols' => $protocol, 'bind' => '127.0.0.1 -::1'];
            $server = RedisServer::start($directives);
            $port = (int) $directives['tls-port'];
            $relay = new Process([PHP_BINARY, '-n', dirname(__DIR__) . '/php-tests/Support/bin/counting-relay.php', (string) $port]);
            $relayed = (int) self::lines($relay, 1)[0];
            $run = static fn (string $client, int $port, int $rounds): array => self::run(
                $client,
                [(string) Place::tls($port, $certificates->authority()), (string) $rounds, (string) $server->port, $identity[0]],
            );
            foreach (['resilient', 'phpredis'] as $client) {
                $seen = $run($client, $port, $rounds);
                $run($client, $relayed, self::RELAYED);
                $carried = array_map(static fn (string $line): array => explode(' ', $line), self::lines($relay, 1 + 3 * self::RELAYED));
                foreach (['full' => 1, 'resumed' => 3] as $kind => $first) {
                    // What comes a moment later than usual turns the direction once more: the smoothest one counts.
                    $connections = array_map(static fn (int $round): array => $carried[$first + 3 * $round], range(0, self::RELAYED - 1));
                    usort($connections, static fn (array $one, array $other): int => $one[2] <=> $other[2]);
                    [$up, $down, $turns] = $connections[0];
                    $all[$name]["$client, $kind"] = [
                        'cpu' => Speed::median(array_column($seen[$kind], 'cpu')), 'wall' => Speed::median(array_column($seen[$kind], 'wall')),
                        'bytes' => (int) $up + (int) $down, // A client that says goodbye begins a turn that nobody answers.
                        'trips' => intdiv((int) $turns, 2),
                    ];
                }
            }
            $relay->stop();
            $server->stop();
            $measure = $all[$name]['phpredis, full'];
            // phpredis resumes nothing: its second kind is the first once more.
            unset($all[$name]['phpredis, resumed']);
            foreach ($all[$name] as $kind => $figures) {
                $all[$name][$kind] = ['cpu' => $figures['cpu'] / $measure['cpu'], 'wall' => $figures['wall'] / $measure['wall']] + $figures;
            }
        }

        return $all;
    }

    /**
     * @param list<string> $arguments
     * @return array<string, list<array{cpu: int, wall: float}>>
     */
    private static function run(string $client, array $arguments): array
    {
        $process = Process::run([...Clients::php($client), __DIR__ . '/handshake.php', $client, ...$arguments]);

        return json_decode($process->output(), true) ?? throw new \RuntimeException($process->output() . $process->errors());
    }

    /** @return list<string> */
    private static function lines(Process $relay, int $count): array
    {
        $lines = [];
        Wait::until('the relay tells', static function () use ($relay, &$lines, $count): bool {
            array_push($lines, ...$relay->newLines());

            return count($lines) >= $count;
        });

        return $lines;
    }
}
