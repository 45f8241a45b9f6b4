<?php

declare(strict_types=1);

namespace Benches;

use Tests\Support\RedisServer;

/** docs/performance.md and the charts beside it, from what was measured. */
final class Page
{
    /** @param array<string, mixed> $measured */
    public static function write(string $file, array $measured): void
    {
        $base = preg_replace('/\.md$/', '', $file);
        $name = basename((string) $base);
        $sections = [self::opening($measured['load'], $measured['quick'] ? 'of a short run (`QUICK=1`)' : 'of a whole run')];
        if (isset($measured['speed'], $measured['instructions'])) {
            $sections[] = Bars::section($measured);
        }
        foreach (['speed' => SpeedTables::speed(...), 'instructions' => SpeedTables::instructions(...), 'calls' => SpeedTables::calls(...)] as $part => $section) {
            if (isset($measured[$part])) {
                $sections[] = $section($measured[$part], $name);
            }
        }
        if (isset($measured['speed'], $measured['footprint'])) {
            $sections[] = self::memory($measured['speed']['tcp'], $measured['footprint']);
        }
        if (isset($measured['handshakes'])) {
            $sections[] = self::handshakes($measured['handshakes']);
        }
        if (isset($measured['requests'])) {
            $sections[] = self::requests($measured['requests']);
        }
        if (isset($measured['scale'])) {
            $sections[] = self::scale($measured['scale'], $name);
            file_put_contents("$base-elements.svg", Chart::lines('Instructions of LRANGE', 'elements', self::named($measured['scale']['elements'])));
            $nodes = ['a GET' => $measured['scale']['get'], 'learning the map, and a connection to each node used' => $measured['scale']['map']];
            file_put_contents("$base-nodes.svg", Chart::lines('Instructions of ResilientRedis in a cluster', 'nodes', $nodes));
        }
        file_put_contents($file, implode("\n", $sections));
        if (isset($measured['speed'])) {
            $rows = [];
            foreach (Operations::ALL as $operation => $label) {
                $rows[$label] = array_map(static fn (array $figures): float => $figures['cpu'], $measured['speed']['tcp'][$operation]);
            }
            file_put_contents("$base.svg", Chart::dots('CPU of an operation over TCP, phpredis = 1', $rows));
        }
    }

    /**
     * @param list<string> $head
     * @param list<list<string>> $rows
     */
    public static function table(array $head, array $rows): string
    {
        $line = static fn (array $cells): string => '| ' . implode(' | ', $cells) . " |\n";

        return $line($head) . '|' . str_repeat('---|', count($head)) . "\n" . implode('', array_map($line, $rows));
    }

    private static function opening(float $load, string $run): string
    {
        exec(RedisServer::program() . ' --version', $server);
        preg_match('/v=([\d.]+)/', implode('', $server), $redis);
        $debian = (string) (parse_ini_file('/etc/os-release')['PRETTY_NAME'] ?? PHP_OS);
        preg_match('/^model name\s*:\s*(.+)$/m', (string) file_get_contents('/proc/cpuinfo'), $processor);
        $processors = preg_match_all('/^processor\s/m', (string) file_get_contents('/proc/cpuinfo'));
        $phpRedis = trim((string) shell_exec(implode(' ', array_map(escapeshellarg(...), [...Clients::php('phpredis'), '-r', 'echo phpversion("redis");']))));
        require_once 'Predis/Autoloader.php';
        \Predis\Autoloader::register();
        [$php, $predis, $model] = [PHP_VERSION, \Predis\Client::VERSION, $processor[1] ?? 'unknown'];

        return <<<PAGE
            # What operations cost, measured

            `make bench` measures all of this in one go and writes this page. Conditions: PHP $php (CLI, no JIT), phpredis $phpRedis,
            Predis $predis, redis-server $redis[1], $debian, $processors processors ($model), everything on one machine, the server
            on one processor and the client on another. Load average of the machine before: $load. The figures are those $run.

            All figures are ratios, or counts. A time or the CPU of an operation is never shown by itself, since it says more of the
            machine than of the client: the clients take turns within every round, in an order drawn anew, and the ratio to phpredis is
            taken within the round; what stands here is the median of the rounds. The counts (instructions, system calls, round trips,
            bytes) are the same on a busy machine.

            PAGE;
    }

    /**
     * @param array<string, array<string, array<string, float|int>>> $speed by operation and client
     * @param array<string, array<string, int>> $footprint
     */
    private static function memory(array $speed, array $footprint): string
    {
        $rows = [];
        foreach (['get-32', 'get-512k', 'get-4m', 'hgetall-1000', 'lrange-10000', 'pipeline-10000'] as $operation) {
            $peaks = array_map(static fn (array $figures): string => Numbers::short($figures['peak'] / 1024), $speed[$operation]);
            $rows[] = [Operations::ALL[$operation], $peaks['resilient'], $peaks['phpredis'], $peaks['predis']];
        }
        $loaded = [];
        foreach (['resilient' => 'ResilientRedis', 'phpredis' => 'phpredis'] as $client => $name) {
            ['library' => $library, 'instructions' => $instructions, 'resident' => $resident, 'own' => $own] = $footprint[$client];
            $sizes = array_map(static fn (float $megabytes): string => Numbers::short($megabytes) . ' MB', [$library / 1e6, $own / 1024, $resident / 1024]);
            $loaded[] = [$name, $sizes[0], Numbers::count($instructions), $sizes[1], $sizes[2]];
        }

        return "## Memory and start\n\nThe most memory that a PHP process has had while it did an operation over and over, in MB, PHP itself included:\n\n"
            . self::table(['', 'ResilientRedis', 'phpredis', 'Predis'], $rows)
            . "\nWhat it costs to have the extension loaded and not to use it: the file, the instructions of start and end of PHP beyond those\n"
            . "of a PHP without it, and its memory beyond that: what the process has written to, and what is resident, in which the part of\n"
            . "the file counts that was looked at (all processes share that).\n\n"
            . self::table(['', 'file', 'instructions', 'own memory', 'resident'], $loaded);
    }

    /** @param array<string, array<string, array<string, float|int>>> $handshakes */
    private static function handshakes(array $handshakes): string
    {
        $names = ['resilient, full' => 'ResilientRedis, new session', 'resilient, resumed' => 'ResilientRedis, resumed', 'phpredis, full' => 'phpredis'];
        $rows = [];
        foreach ($handshakes as $version => $kinds) {
            foreach ($names as $kind => $name) {
                $figures = $kinds[$kind];
                $rows[] = ["$version: $name", (string) $figures['trips'], number_format($figures['bytes']), Numbers::short($figures['cpu']), Numbers::short($figures['wall'])];
            }
        }

        return "## A new connection over TLS\n\nWith its first PING, and a certificate on P-256. Round trips and bytes were counted by a relay. Of the round trips one is\n"
            . "the PING; ResilientRedis has one more for its greeting, which also tells it with whom it speaks (phpredis sends none). CPU and time\n"
            . "are beside phpredis with the same version of TLS; phpredis resumes no sessions.\n\n"
            . self::table(['', 'round trips', 'bytes', 'CPU', 'time'], $rows);
    }

    /** @param array{cost: array<string, array<string, array<string, float>>>, waits: array<int, array<string, array<string, float>>>} $requests */
    private static function requests(array $requests): string
    {
        $shown = static fn (array $figures): string => sprintf(
            '%s / %s / %s',
            Numbers::short($figures['cpu']),
            Numbers::rounded($figures['connections']),
            Numbers::rounded($figures['commands']),
        );
        $waited = static fn (array $figures): string => Numbers::short($figures['p50']) . ' / ' . Numbers::short($figures['p99']);
        $rows = [[], []];
        foreach (Requests::CLIENTS as $client => $name) {
            $rows[0][] = [$name, ...array_map($shown, array_column($requests['cost'], $client))];
            $rows[1][] = [$name, ...array_map($waited, array_column($requests['waits'], $client))];
        }
        $workers = array_map(static fn (int $workers): string => $workers === 1 ? '1 worker' : "$workers workers", array_keys($requests['waits']));

        return "## Requests to php-fpm\n\nA request that makes a client and does one `GET`, or twenty. First the worker's CPU beyond that of an empty request, beside phpredis with\n"
            . "`pconnect`; then connections and commands a request, by the server's count. *Cold*: the server has closed the worker's\n"
            . "connection before each request.\n\n"
            . self::table(['', ...array_keys($requests['cost'])], $rows[0])
            . "\nHow long a visitor waits for a request with one `GET`, median / 99th percentile beside phpredis with `pconnect`, with as many visitors at\n"
            . "once as there are workers:\n\n"
            . self::table(['', ...$workers], $rows[1]);
    }

    /** @param array{elements: array<string, array<int, float>>, ratios: array<int, float>, get: array<int, float>, map: array<int, float>} $scale */
    private static function scale(array $scale, string $name): string
    {
        $elements = [];
        foreach ($scale['ratios'] as $count => $ratio) {
            [$ours, $theirs] = [$scale['elements']['resilient'][$count], $scale['elements']['phpredis'][$count]];
            $elements[] = [number_format($count), Numbers::count($ours), Numbers::count($ours / $count), Numbers::short($ours / $theirs), Numbers::short($ratio)];
        }
        $nodes = [];
        foreach ($scale['get'] as $count => $get) {
            $nodes[] = [number_format($count), Numbers::count($get), Numbers::count($scale['map'][$count])];
        }

        return "## How cost grows\n\nWith the elements of a reply, `LRANGE` for example:\n\n![instructions of LRANGE]($name-elements.svg)\n\n"
            . self::table(['elements', 'instructions', 'an element', 'beside phpredis', 'CPU beside phpredis'], $elements)
            . "\nWith the nodes of a cluster, which a small server plays: a `GET` takes what it takes, however many there are. What grows is\n"
            . "learning the map, which happens once, and again when slots have moved; the figure holds the connections to those of 16 keys, too:\n\n"
            . "![instructions in a cluster]($name-nodes.svg)\n\n"
            . self::table(['nodes', 'instructions of a GET', 'of the first 16, with the map'], $nodes);
    }

    /**
     * @template T
     * @param array<string, T> $byClient
     * @return array<string, T>
     */
    private static function named(array $byClient): array
    {
        return array_combine(array_map(static fn (string $client): string => Clients::ALL[$client], array_keys($byClient)), $byClient);
    }
}
