<?php

declare(strict_types=1);

namespace Tests\Failover;

use Tests\Support\SentinelSet;

/** Three sentinels notice that the primary is gone and promote a replica. */
final class Sentinels
{
    /** @return list<Scenario> */
    public static function scenarios(): array
    {
        $bars = ['failed' => 0, 'unknown_incr' => 1, 'unknown_set' => 0, 'duplicates' => 0, 'first_write_ms' => 50];

        return [new Scenario('sentinel', 'Sentinel failover after the primary is killed', $bars, self::failover(...), peers: [])];
    }

    /** @return array<string, float|int> */
    private static function failover(string $client): array
    {
        $set = SentinelSet::start();
        try {
            // The sentinels take their time to agree: longer than the others' second.
            $options = ['replication' => 'sentinel', 'service' => SentinelSet::SERVICE, 'command_timeout' => 8.0];
            $run = new Run($client, $set->endpoints(), 7.0, $options);
            usleep(1_000_000);
            $watch = $set->watchForPromotion();
            $set->nodes->primary()->kill();
            $watch->wait();
            $promoted = (float) $watch->output();

            return Promotions::figures($run->finish(), $set->promoted(), $promoted);
        } finally {
            $set->stop();
        }
    }
}
