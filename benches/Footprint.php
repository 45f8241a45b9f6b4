<?php

declare(strict_types=1);

namespace Benches;

use Tests\Support\Process;
use Tests\Support\Scratch;

/** What having a client loaded costs a PHP that does not use it, beside a PHP without it. */
final class Footprint
{
    /** @return array<string, array{library: int, instructions: int, resident: int, own: int}> by client: bytes, instructions, KB */
    public static function all(): array
    {
        $without = self::of(Clients::php('predis'));
        $all = [];
        foreach (['resilient', 'phpredis'] as $client) {
            $with = self::of(Clients::php($client));
            $files = Clients::extensions($client);
            $all[$client] = ['library' => (int) filesize(end($files))];
            foreach ($with as $figure => $value) {
                $all[$client][$figure] = $value - $without[$figure];
            }
        }

        return $all;
    }

    /**
     * @param list<string> $php
     * @return array{instructions: int, resident: int, own: int}
     */
    private static function of(array $php): array
    {
        $script = Scratch::folder('footprint') . '/footprint.php';
        file_put_contents($script, <<<'PHP'
            <?php
            $sizes = file_get_contents('/proc/self/smaps_rollup');
            foreach (['Rss', 'Private_Dirty'] as $name) {
                preg_match("/^$name:\s+(\d+)/m", $sizes, $found);
                echo "$found[1] ";
            }
            PHP);
        $sizes = array_map(static fn (): array => explode(' ', Process::run([...$php, $script])->output()), range(1, 9));

        return [
            'instructions' => Counting::instructionsOf([...$php, $script]),
            'resident' => (int) Speed::median(array_column($sizes, 0)),
            'own' => (int) Speed::median(array_column($sizes, 1)),
        ];
    }
}
