<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\FpmMaster;
use Tests\Support\RedisTestCase;

/**
 * Requests that leave their connection in the worst state they can and end as badly as they can, in random order on two
 * workers. After each, a request writes a token and reads it back: nothing of the other may reach it.
 *
 * `make hostile-requests ROUNDS=200` runs each ending that often.
 */
final class HostileRequestTest extends RedisTestCase
{
    /** These take a second of processor time each, so there are fewer of them. */
    private const SLOW = ['time limit'];

    private const CLEAN = ['db' => '0', 'user' => 'default', 'flags' => 'N', 'sub' => '0', 'psub' => '0'];

    public function test_no_ending_of_a_request_reaches_the_next_one(): void
    {
        $rounds = (int) (getenv('ROUNDS') ?: 12);
        $redis = self::shared();
        $redis->command('SET', 'large', str_repeat('x', 1 << 20));
        $redis->command('ACL', 'SETUSER', 'hostile', 'on', '>secret', '~*', '&*', '+@all');
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(__DIR__ . '/Fixtures/requests', 2));
        $endpoint = ['endpoint' => $redis->endpoint()];
        ['states' => $states, 'endings' => $endings] = $fpm->request('hostile.php', $endpoint + ['list' => '1'])->json();

        $queue = [];
        foreach ($endings as $ending) {
            for ($i = 0; $i < (in_array($ending, self::SLOW, true) ? (int) ceil($rounds / 10) : $rounds); $i++) {
                // Each state comes with each ending, if there are rounds enough.
                $queue[] = ['state' => $states[$i % count($states)], 'ending' => $ending];
            }
        }
        $seed = (int) (getenv('SEED') ?: random_int(1, 1_000_000));
        mt_srand($seed);
        shuffle($queue);

        $checked = 0;
        foreach (array_chunk($queue, 2) as $pair) {
            $pending = array_map(static fn (array $hostile) => $fpm->send('hostile.php', $endpoint + $hostile), $pair);
            foreach ($pair as $index => $hostile) {
                $hostile['ending'] === 'a client that has gone' ? $pending[$index]->abandon() : $pending[$index]->response();
            }
            $tokens = [bin2hex(random_bytes(8)), bin2hex(random_bytes(8))];
            $after = sprintf('after %s (SEED=%d)', self::seen($pair), $seed);
            $pending = array_map(static fn (string $token) => $fpm->send('token.php', $endpoint + ['token' => $token]), $tokens);
            foreach ($tokens as $index => $token) {
                $seen = $pending[$index]->response()->json();
                self::assertSame($token, $seen['token'], $after);
                self::assertSame(['OK', 'PONG'], $seen['transaction'], $after);
                self::assertSame('PONG', $seen['pong'], $after);
                self::assertEquals(self::CLEAN, array_intersect_key($seen['connection'], self::CLEAN), $after);
                self::assertContains($seen['connection']['name'] ?? '', ['', 'resilient_redis'], $after);
                self::assertSame('2', $seen['connection']['resp'] ?? '2', $after);
                $checked++;
            }
            self::assertLessThanOrEqual(8, count($redis->clients()), 'connections of two workers ' . $after);
        }
        self::assertGreaterThanOrEqual(count($queue), $checked);
        self::assertSame('', $fpm->crashes());
    }
}
