<?php

declare(strict_types=1);

namespace Tests\Failover;

/** What was measured: on the screen as it comes, and as a page for docs/. */
final class Report
{
    private const CLIENTS = ['resilient' => 'ResilientRedis', 'phpredis' => 'phpredis', 'predis' => 'Predis'];

    /** @var array<string, array<string, array<string, float|int>>> scenario, client, figure */
    private array $results = [];

    /** @var array<string, string> */
    private array $broken = [];

    public function __construct(private readonly int $runs)
    {
    }

    /** @param list<array<string, float|int>> $runs */
    public function add(Scenario $scenario, string $client, array $runs): bool
    {
        $median = Scenario::median($runs);
        $this->results[$scenario->name][$client] = $median;
        $missed = $client === 'resilient' ? $scenario->missed($median) : [];
        $verdict = match (true) {
            $client !== 'resilient' => '',
            $missed === [] => '  ok',
            default => '  NOT MET: ' . implode('; ', $missed),
        };
        printf("%-26s %-14s %s%s\n", $scenario->name, self::CLIENTS[$client], self::inWords($median), $verdict);

        return $missed === [];
    }

    public function addFailure(Scenario $scenario, string $client, \Throwable $failure): void
    {
        $this->broken["$scenario->name, " . self::CLIENTS[$client]] = $failure->getMessage();
        printf("%-26s %-14s BROKEN: %s\n", $scenario->name, self::CLIENTS[$client], $failure->getMessage());
    }

    /** @param array<string, Scenario> $scenarios */
    public function page(array $scenarios): string
    {
        $page = "# What failovers cost, measured\n\n"
            . "Made by `make failover-lab`. Each figure is the median of $this->runs run" . ($this->runs === 1 ? '' : 's') . ". Conditions:\n"
            . self::conditions() . "\n"
            . "A program does INCR, SET and GET in turn, about " . Run::RATE . " operations a second in all, with client timeouts of 0.5 s and a\n"
            . "deadline of 4 s per command (8 s under Sentinel, which takes longer to agree). A replica is promoted 1 s after the\n"
            . "fault, a DNS record follows 1 s after that; a cluster elects by itself, with a node timeout of 1.5 s, while three\n"
            . "programs increment, and have 5 s. A *failed* operation ended in an exception and was not applied; an\n"
            . "*unknown* one may have been. *Duplicates* are increments that the server applied twice without anybody being told;\n"
            . "*lost* ones were acknowledged and are not at the promoted server.\n\n"
            . "## ResilientRedis against its bars\n\n| fault | bar | measured | |\n|---|---|---|---|\n";
        foreach ($scenarios as $scenario) {
            $figures = $this->results[$scenario->name]['resilient'] ?? null;
            if ($figures === null) {
                continue;
            }
            $bars = [];
            $measured = [];
            foreach ($scenario->bars as $figure => $bar) {
                $bars[] = self::label($figure) . ' <= ' . Scenario::show($bar);
                $measured[] = self::label($figure) . ' ' . Scenario::show($figures[$figure]);
            }
            $met = $scenario->missed($figures) === [] ? 'ok' : '**not met**';
            $page .= sprintf("| %s | %s | %s | %s |\n", $scenario->fault, implode('; ', $bars), implode('; ', $measured), $met);
        }
        $page .= "\n## All figures\n\n| fault | client | figures |\n|---|---|---|\n";
        foreach ($this->results as $name => $clients) {
            foreach ($clients as $client => $figures) {
                $page .= sprintf("| %s | %s | %s |\n", $scenarios[$name]->fault, self::CLIENTS[$client], self::inWords($figures));
            }
        }
        foreach ($this->broken as $what => $why) {
            $page .= "\nNot measured: $what: $why\n";
        }

        return $page;
    }

    private static function conditions(): string
    {
        $version = static fn (string $command): string => trim((string) shell_exec("$command 2>/dev/null"));
        preg_match('/v=([\d.]+)/', $version('redis-server --version'), $redis);
        $peers = [];
        foreach (["'php*-redis'" => 'phpredis', 'php-predis' => 'Predis'] as $package => $name) {
            $found = $version("dpkg-query -W -f '\${Version}' $package");
            if ($found !== '') {
                $peers[] = "$name " . explode('+', $found)[0];
            }
        }

        return sprintf(
            "PHP %s, redis-server %s, Debian 12, %d processor cores, everything on one machine%s.\n",
            PHP_VERSION,
            $redis[1] ?? 'of unknown version',
            (int) $version('nproc'),
            $peers === [] ? '' : '; ' . implode(', ', $peers) . ' from Debian',
        );
    }

    /** @param array<string, float|int> $figures */
    private static function inWords(array $figures): string
    {
        $words = [];
        foreach ($figures as $figure => $value) {
            $words[] = self::label($figure) . ' ' . Scenario::show($value);
        }

        return implode(', ', $words);
    }

    /** `first_write_ms` as `first write (ms)`. */
    private static function label(string $figure): string
    {
        return str_replace('_', ' ', str_ends_with($figure, '_ms') ? substr($figure, 0, -3) . ' (ms)' : $figure);
    }
}
