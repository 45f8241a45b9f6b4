<?php

declare(strict_types=1);

namespace Tests\Failover;

/** All of them, in the order of the table. */
final class Scenarios
{
    /** @return array<string, Scenario> */
    public static function all(): array
    {
        $all = [
            ...Promotions::scenarios(),
            ...Silences::scenarios(),
            ...Replies::scenarios(),
            ...Idleness::scenarios(),
            ...Sentinels::scenarios(),
            ...Clusters::scenarios(),
            ...SplitBrains::scenarios(),
            ...Workers::scenarios(),
        ];

        return array_combine(array_map(static fn (Scenario $scenario): string => $scenario->name, $all), $all);
    }
}
