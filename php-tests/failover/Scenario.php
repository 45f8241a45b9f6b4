<?php

declare(strict_types=1);

namespace Tests\Failover;

/** One row of the table: a fault, how it is made and measured, and the bars that the measurements have to clear. */
final class Scenario
{
    /**
     * @param string $name for ONLY=
     * @param string $fault what happens, for people
     * @param array<string, float|int> $bars the greatest allowed value of each figure that has a bar
     * @param \Closure(string): array<string, float|int> $measure runs it once for a client and gives its figures
     * @param list<string> $peers clients besides ours for which it makes sense
     * @param bool $enclosed whether it needs namespaces
     */
    public function __construct(
        public readonly string $name,
        public readonly string $fault,
        public readonly array $bars,
        private readonly \Closure $measure,
        public readonly array $peers = Clients::PEERS,
        public readonly bool $enclosed = false,
    ) {
    }

    /**
     * The figures of one run; those of several are told by their median.
     *
     * @return array<string, float|int>
     */
    public function run(string $client): array
    {
        return ($this->measure)($client);
    }

    /**
     * @param list<array<string, float|int>> $runs
     * @return array<string, float|int>
     */
    public static function median(array $runs): array
    {
        $medians = [];
        foreach (array_keys($runs[0]) as $figure) {
            $values = array_column($runs, $figure);
            sort($values);
            $medians[$figure] = $values[intdiv(count($values), 2)];
        }

        return $medians;
    }

    /**
     * The figures that are above their bars.
     *
     * @param array<string, float|int> $figures
     * @return list<string>
     */
    public function missed(array $figures, float $slack = 1.0): array
    {
        $missed = [];
        foreach ($this->bars as $figure => $bar) {
            // Counts have no slack: an operation fails or it does not.
            $allowed = str_ends_with($figure, '_ms') ? $bar * $slack : $bar;
            if ($figures[$figure] > $allowed) {
                $missed[] = sprintf('%s is %s, allowed %s', $figure, self::show($figures[$figure]), self::show($allowed));
            }
        }

        return $missed;
    }

    public static function show(float|int $value): string
    {
        return is_int($value) ? (string) $value : sprintf($value < 10 ? '%.1f' : '%.0f', $value);
    }
}
