<?php

declare(strict_types=1);

namespace FailoverDemo;

/** The end of the play: the figures of both acts, the data on the server, and what must not have happened. */
final class Result
{
    /** @param list<Act> $acts */
    public function __construct(public readonly Diary $diary, public readonly array $acts, private readonly int $counter)
    {
    }

    /**
     * The counter on the last primary against the acknowledged increments.
     *
     * @return array<string, string>
     */
    public function data(): array
    {
        return [
            'increments acknowledged' => number_format((int) $this->diary->acknowledged),
            'with unknown outcome' => (string) $this->unknownIncrements(),
            'counter on the server' => number_format($this->counter),
            'acknowledged, then lost by the servers' => (string) $this->lostIncrements(),
        ];
    }

    /** @return list<string> */
    public function broken(): array
    {
        $broken = array_merge(...array_map(fn (Act $act): array => $act->broken($this->diary), $this->acts));
        $most = (int) $this->diary->acknowledged - $this->lostIncrements() + $this->unknownIncrements();
        $least = $most - $this->unknownIncrements();
        if ($this->counter < $least || $this->counter > $most) {
            $broken[] = "the counter on the server is $this->counter, and by the replies it is between $least and $most";
        }

        return $broken;
    }

    public function print(): void
    {
        foreach ($this->acts as $act) {
            self::table($act->title, $act->rows($this->diary));
        }
        self::table('The data', $this->data());

        $broken = $this->broken();
        echo "\n", $broken === [] ? "Both acts clear their bars.\n" : "BROKEN:\n";
        foreach ($broken as $line) {
            echo "  - $line\n";
        }
    }

    private function unknownIncrements(): int
    {
        return count(array_filter(
            $this->diary->odds,
            static fn (array $odd): bool => $odd['kind'] === 'unknown' && str_starts_with($odd['text'], 'INCR'),
        ));
    }

    private function lostIncrements(): int
    {
        $sum = 0;
        foreach ($this->diary->odds as $odd) {
            $sum += $odd['kind'] === 'lost' && str_starts_with($odd['text'], 'INCR') ? $odd['count'] : 0;
        }

        return $sum;
    }

    /** @param array<string, string> $rows */
    private static function table(string $title, array $rows): void
    {
        echo "\n$title\n";
        foreach ($rows as $name => $value) {
            printf("  %-40s %s\n", $name, $value);
        }
    }
}
